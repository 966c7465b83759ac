"""The cases of a sweep, in an order drawn from the seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import product

from collbench.plan.collectives import COLLECTIVES, Collective
from collbench.plan.demands import Demand
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.plan.layout import Layout
from collbench.plan.problem import Case, Problem, case_identity
from collbench.plan.rms_norm import DEFAULT_HIDDEN
from collbench.plan.skew import Skew, parse_skew
from collbench.plan.variants import Variant


@dataclass(frozen=True)
class Contest:
    """The backends to time on one problem, where they differ by problem; ``size`` is the requested size in bytes, and
    ``hidden`` the elements in a row, 0 where there are no rows."""

    layout: str
    collective: str
    dtype: str
    op: str
    size: int
    backends: tuple[str, ...]
    hidden: int = 0


@dataclass(frozen=True)
class Sweep:
    """The options that determine which cases run and how long each is measured.

    ``max_seconds`` caps the timed part of one case in one launch; ``samples`` fixes the number of samples instead
    of stopping when the interval is narrow; ``timeout`` (seconds) ends a job that makes no progress. ``contests``,
    if any, replace ``backends``: they list the backends for each problem. ``demands``, if any, are the problems in
    place of all combinations of ``collectives``, ``dtypes``, ``sizes`` and ``hidden``; ``suited``, if any, the backends
    of each collective in place of all. ``hidden`` are the lengths of rows, where a collective normalises rows;
    ``skews``, as `plan.skew` writes them, how late ranks arrive, () where they arrive together. A launch has a leg, a
    set of processes, for
    all ``backends`` and one for each of the ``variants``.
    """

    collectives: tuple[str, ...]
    backends: tuple[str, ...]
    sizes: tuple[int, ...]
    dtypes: tuple[str, ...]
    ops: tuple[str, ...]
    modes: tuple[str, ...]
    caches: tuple[str, ...]
    in_place: tuple[bool, ...]
    hidden: tuple[int, ...] = ()
    skews: tuple[str, ...] = ()
    warmup: int = 10
    samples: int | None = None
    max_seconds: float = 1.0
    launches: int = 1
    seed: int = 1
    timeout: float = 120.0
    verify: bool = True
    phases: bool = False
    contests: tuple[Contest, ...] = ()
    demands: tuple[Demand, ...] = ()
    suited: tuple[tuple[str, tuple[str, ...]], ...] = ()
    variants: tuple[Variant, ...] = ()

    def backends_on(self, problem: Problem) -> tuple[str, ...]:
        """The backends to time on ``problem``."""
        if not self.contests:
            return dict(self.suited).get(problem.collective.name, self.backends)
        return next((each.backends for each in self.contests if each == contest_of(problem, each.backends)), ())

    def cases_on(self, problem: Problem) -> list[Case]:
        """The cases of ``problem``: its backends and the variants."""
        plain = (Case(problem, name) for name in self.backends_on(problem))
        return [*plain, *(Case(problem, variant.name, variant) for variant in self.variants)]

    def legs(self, launch: int) -> list[str]:
        """The legs of a launch in the order in which they run: labels of variants, and "" for plain backends, if any.

        The order is drawn for every second launch and reversed in the next one, so that a steady drift cancels.
        """
        found = [*([""] if self.backends else []), *sorted(variant.label for variant in self.variants)]
        random.Random(f"{self.seed}/legs/{launch // 2}").shuffle(found)
        return found[::-1] if launch % 2 else found

    def variant(self, leg: str) -> Variant | None:
        """The variant that a leg times; None for plain backends."""
        return next((variant for variant in self.variants if variant.label == leg), None)

    def specs(self, leg: str) -> tuple[str, ...]:
        """The specs of the backends that a leg opens."""
        variant = self.variant(leg)
        return (variant.backend,) if variant else self.backends


def contest_of(problem: Problem, names: tuple[str, ...]) -> Contest:
    """The contest of these backends on ``problem``."""
    what = (problem.collective.name, problem.dtype.name, problem.op, problem.size)
    return Contest(str(problem.layout), *what, names, problem.hidden)


def contests_text(contests: Iterable[Contest]) -> str:
    """Contests as JSON."""
    return json.dumps([asdict(each) for each in contests], indent=1) + "\n"


def parse_contests(text: str) -> tuple[Contest, ...]:
    """Contests from the JSON that ``contests_text`` returns."""
    return tuple(Contest(**{**each, "backends": tuple(each["backends"])}) for each in json.loads(text))


@dataclass(frozen=True)
class Skip:
    """A case that cannot run, and why."""

    case: Case
    reason: str


@dataclass(frozen=True)
class Plan:
    """Cases grouped by problem, in the order in which they run, and skipped cases."""

    groups: tuple[tuple[Case, ...], ...]
    skips: tuple[Skip, ...] = field(default=())

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Layouts of the groups, in the order of their first case."""
        return tuple(dict.fromkeys(group[0].problem.layout for group in self.groups))


def _distinct(sweep: Sweep, collective: Collective, dtype: Dtype, ranks: int, hidden: int) -> list[int]:
    """Sizes that differ after rounding down to whole elements, or rows; of equal ones the smallest."""
    counts: dict[int, int] = {}
    for size in sweep.sizes:
        counts.setdefault(collective.count(size, dtype.itemsize, ranks, hidden) or -size, size)
    return list(counts.values())


def rows_of(collective: Collective, hidden: tuple[int, ...]) -> tuple[int, ...]:
    """The values of ``Problem.hidden`` that apply to a collective; ``hidden`` may be empty, for the default."""
    return (hidden or (DEFAULT_HIDDEN,)) if collective.normalises else (0,)


def skews_of(sweep: Sweep) -> tuple[Skew | None, ...]:
    """How late ranks arrive, None for together."""
    return tuple(map(parse_skew, sweep.skews)) or (None,)


def problems(sweep: Sweep, layouts: tuple[Layout, ...]) -> Iterator[Problem]:
    """Every combination in the sweep, without repeats, or what is demanded of each of ``layouts``: ``ops`` apply only
    to collectives that reduce."""
    if sweep.demands:
        yield from _demanded(sweep, layouts)
        return
    skews = skews_of(sweep)
    for layout, name, dtype_name in product(layouts, sweep.collectives, sweep.dtypes):
        collective, dtype = COLLECTIVES[name], DTYPES[dtype_name]
        ops = sweep.ops if collective.reduces else ("",)
        for hidden in rows_of(collective, sweep.hidden):
            sizes = _distinct(sweep, collective, dtype, layout.size, hidden)
            kinds = product(ops, sizes, sweep.modes, sweep.caches, sweep.in_place, skews)
            for op, size, mode, cache, in_place, skew in kinds:
                yield Problem(layout, collective, dtype, op, size, mode, cache, in_place, hidden, skew)


def _demanded(sweep: Sweep, layouts: tuple[Layout, ...]) -> Iterator[Problem]:
    """What is demanded, once: of worlds that rows do not tell apart, the first."""
    seen: set[tuple[object, ...]] = set()
    for layout, demand in product(layouts, sweep.demands):
        if demand.grouping not in layout.groupings:
            continue
        collective, dtype = COLLECTIVES[demand.collective], DTYPES[demand.dtype]
        ops = sweep.ops if collective.reduces else ("",)
        kinds = product(ops, sweep.modes, sweep.caches, sweep.in_place, skews_of(sweep))
        for op, mode, cache, in_place, skew in kinds:
            found = Problem(layout, collective, dtype, op, demand.size, mode, cache, in_place, demand.hidden, skew)
            identity = case_identity(Case(found, ""))
            if identity not in seen:
                seen.add(identity)
                yield found


def make_plan(
    sweep: Sweep,
    layouts: tuple[Layout, ...],
    launch: int,
    refuse: Callable[[Problem, str], str | None] = lambda problem, backend: None,
    done: Callable[[Case], bool] = lambda case: False,
) -> Plan:
    """Cases to run in this launch and cases to skip.

    ``refuse`` returns why a backend cannot run a problem; ``done``, whether an earlier job finished a case. Worlds keep
    their order (each is opened once), but pairs of hosts are shuffled by the seed and the launch; and so are within a
    world problems and the backends of a problem.
    """
    draw = random.Random(f"{sweep.seed}/{launch}")
    if all(layout.pair for layout in layouts):
        layouts = tuple(draw.sample(layouts, len(layouts)))
    groups: list[tuple[Case, ...]] = []
    skips: list[Skip] = []
    by_world: dict[Layout, list[Problem]] = {}
    for problem in problems(sweep, layouts):
        by_world.setdefault(problem.layout, []).append(problem)
    for layout in layouts:
        of_world = by_world.get(layout, [])
        draw.shuffle(of_world)
        for problem in of_world:
            cases = [case for case in sweep.cases_on(problem) if not done(case)]
            reasons = {case: problem.refusal() or refuse(problem, case.spec) for case in cases}
            skips += [Skip(case, reason) for case, reason in reasons.items() if reason]
            runnable = [case for case in cases if not reasons[case]]
            draw.shuffle(runnable)
            if runnable:
                groups.append(tuple(runnable))
    return Plan(tuple(groups), tuple(skips))


def leave_out(plan: Plan, why: Callable[[Case], str | None]) -> Plan:
    """The plan, in which cases for which ``why`` returns a reason are skipped."""
    reasons = {case: why(case) for group in plan.groups for case in group}
    groups = (tuple(case for case in group if not reasons[case]) for group in plan.groups)
    skips = (Skip(case, reason) for case, reason in reasons.items() if reason)
    return Plan(tuple(group for group in groups if group), (*plan.skips, *skips))
