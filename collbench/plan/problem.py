"""Problems (a collective on one type, size and layout) and cases (a problem on one backend)."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.plan.collectives import Collective
from collbench.plan.dtypes import Dtype
from collbench.plan.layout import Layout
from collbench.plan.variants import Variant

MODES = ("isolated", "chain", "throughput")
CACHES = ("hot", "cold")


@dataclass(frozen=True)
class Problem:
    """One configuration to time; backends are compared within a problem. ``size`` is the requested size in bytes."""

    layout: Layout
    collective: Collective
    dtype: Dtype
    op: str
    size: int
    mode: str
    cache: str
    in_place: bool

    @property
    def count(self) -> int:
        """Elements in the larger of the two buffers."""
        return self.collective.count(self.size, self.dtype.itemsize, self.layout.size)

    @property
    def bytes(self) -> int:
        """Bytes in the larger of the two buffers: ``size`` rounded down to whole elements."""
        return self.count * self.dtype.itemsize

    def refusal(self) -> str | None:
        """Why no backend can run this problem, or None."""
        if self.layout.size < 2:
            return "a collective needs at least 2 ranks"
        if self.count == 0:
            each = " per rank" if self.collective.splits else ""
            return f"{self.size} B is too small for one {self.dtype.name}{each}"
        if self.in_place and self.collective.in_place is None:
            return f"{self.collective.name} has no in-place form"
        if self.op == "avg" and not self.dtype.is_float:
            return f"avg is not defined for {self.dtype.name}"
        return None


@dataclass(frozen=True)
class Case:
    """One problem on one backend, or on a variant of it: one row of the results per launch, under the name
    ``backend``."""

    problem: Problem
    backend: str
    variant: Variant | None = None

    @property
    def spec(self) -> str:
        """The spec of its backend, without the label of a variant."""
        return self.variant.backend if self.variant else self.backend

    @property
    def leg(self) -> str:
        """The leg of a launch that it is timed in: the label of its variant, "" for plain backends."""
        return self.variant.label if self.variant else ""


def case_identity(case: Case) -> tuple[object, ...]:
    """``Record.identity`` of the rows of ``case``."""
    problem = case.problem
    layout = problem.layout
    return (
        problem.collective.name, problem.dtype.name, problem.op, problem.bytes or problem.size, layout.size,
        layout.node_count, layout.per_node, layout.virtual, layout.pair, problem.mode, problem.in_place, problem.cache,
        case.backend,
    )  # fmt: skip
