"""What the ranks of a replay run: the distinct collectives of a pass, and the sequence of each stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from collbench.errors import UsageError
from collbench.llm.order import Work, sequence
from collbench.llm.parallel import Parallel
from collbench.llm.passes import Pass
from collbench.llm.steps import Deployment, Step
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import Dtype
from collbench.plan.layout import Groups, Layout
from collbench.plan.problem import Problem


@dataclass(frozen=True)
class Kind:
    """A collective on messages of ``size`` bytes, the larger of a rank's two buffers, in each of ``groups``;
    ``hidden``: elements in a row, 0 without rows. ``whats`` are the engine's tensors."""

    operation: str
    dtype: Dtype
    size: int
    hidden: int
    groups: Groups
    whats: tuple[str, ...] = field(compare=False)
    between_stages: bool = False

    def problem(self, layout: Layout) -> Problem:
        """The problem in one of the groups, whose layout is given. Raises UsageError where the message cannot be
        divided as the collective does."""
        what = COLLECTIVES[self.operation]
        op = "sum" if what.reduces else ""
        found = Problem(layout, what, self.dtype, op, self.size, "chain", "hot", False, self.hidden)
        if found.bytes != self.size:
            raise UsageError(f"{self.size} B of {self.dtype.name} cannot be divided for {self.operation}.")
        return found


@dataclass(frozen=True)
class Plan:
    """The distinct collectives of a pass in the order of first use, what each stage does one after another, and how
    often the pass runs each collective, once over a boundary of two stages."""

    parallel: Parallel
    kinds: tuple[Kind, ...]
    stages: tuple[tuple[Work | Kind, ...], ...]
    counts: Counter[Kind]

    def stage_of(self, rank: int) -> int:
        """The stage of a rank."""
        return rank // self.parallel.tp % self.parallel.pp

    def count(self, kind: Kind, rank: int) -> int:
        """How often this rank runs a collective."""
        return self.stages[self.stage_of(rank)].count(kind) if any(rank in group for group in kind.groups) else 0

    def judged(self, kind: Kind, slots: int) -> int:
        """Of the calls of a collective in a pass, those with an output that survives it, where a rank has ``slots``."""
        if kind.between_stages:
            return min(slots, self.counts[kind])
        return sum(min(slots, stage.count(kind)) for stage in self.stages)

    def most(self, kind: Kind) -> int:
        """How often the rank runs a collective that runs it most often."""
        return max(stage.count(kind) for stage in self.stages)


def plan_of(deployment: Deployment, one: Pass) -> Plan:
    """The plan of a pass. Raises UsageError where it sends nothing."""
    events = [sequence(deployment, one, stage) for stage in range(deployment.parallel.pp)]
    steps = [event for stage in events for event in stage if isinstance(event, Step)]
    if not steps:
        raise UsageError("this pass sends nothing: give the model several ranks, as in tp=8.")
    kinds = _kinds(deployment, steps)
    stages = tuple(
        tuple(event if isinstance(event, Work) else kinds[_key(event)] for event in stage) for stage in events
    )
    sent = (step for number, stage in enumerate(events) for step in _own(stage, number))
    return Plan(
        deployment.parallel, tuple(dict.fromkeys(kinds.values())), stages, Counter(kinds[_key(step)] for step in sent)
    )


def _own(events: Iterable[Work | Step], stage: int) -> Iterator[Step]:
    """The collectives that a stage is listed with; a send belongs to its sender."""
    return (event for event in events if isinstance(event, Step) and event.stage == stage)


def _key(step: Step) -> object:
    """Equal for collectives that are one kind: those over pairs of stages are of one boundary, others of any stage."""
    return step.operation, step.dtype, step.message_bytes, step.groups if step.kind == "pp" else step.kind


def _kinds(deployment: Deployment, steps: Iterable[Step]) -> dict[object, Kind]:
    together: dict[object, list[Step]] = {}
    for step in steps:
        together.setdefault(_key(step), []).append(step)
    return {key: _kind(deployment, alike) for key, alike in together.items()}


def _kind(deployment: Deployment, alike: list[Step]) -> Kind:
    one = alike[0]
    rows = one.shape[-1] if COLLECTIVES[one.operation].normalises else 0
    whats = tuple(dict.fromkeys(step.what for step in alike))
    groups = _all_groups(deployment.parallel, one)
    return Kind(one.operation, one.dtype, one.message_bytes, rows, groups, whats, one.kind == "pp")


def _all_groups(parallel: Parallel, step: Step) -> Groups:
    """The groups of all stages, in which the same collective may run; of pairs of stages those of one boundary."""
    by_kind = {"tp": parallel.tp_groups, "dp": parallel.dp_groups, "ep": parallel.moe_groups}
    if step.kind not in by_kind:
        return step.groups
    return tuple(group for stage in range(parallel.pp) for group in by_kind[step.kind](stage))
