"""Problems (a collective on one type, size and layout) and cases (a problem on one backend)."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.plan import rms_norm
from collbench.plan.collectives import Collective, Piece
from collbench.plan.dtypes import Dtype
from collbench.plan.layout import Layout
from collbench.plan.skew import Skew
from collbench.plan.variants import Variant

MODES = ("isolated", "chain", "throughput")
CACHES = ("hot", "cold")


@dataclass(frozen=True)
class Problem:
    """One configuration to time; backends are compared within a problem. ``size`` is the requested size in bytes,
    ``hidden`` the elements in a row where the collective normalises rows, else 0, ``skew`` how late ranks arrive, None
    where they arrive together."""

    layout: Layout
    collective: Collective
    dtype: Dtype
    op: str
    size: int
    mode: str
    cache: str
    in_place: bool
    hidden: int = 0
    skew: Skew | None = None

    @property
    def count(self) -> int:
        """Elements in the message, the larger of the two buffers of a plain collective."""
        return self.collective.count(self.size, self.dtype.itemsize, self.layout.size, self.hidden)

    @property
    def bytes(self) -> int:
        """Bytes in the message: ``size`` rounded down to whole elements, or rows."""
        return self.count * self.dtype.itemsize

    def sent(self, rank: int) -> int:
        """Elements in the input buffer of ``rank``; a weight of ``hidden`` elements follows its part of the message."""
        return self.collective.send(self.count, self.layout.size, rank) + self.hidden

    def received(self, rank: int) -> int:
        """Elements in the output buffer of ``rank``."""
        return self.collective.recv(self.count, self.layout.size, rank)

    def pieces(self, rank: int) -> tuple[Piece, ...]:
        """The sources of the reduced or copied parts of the output of ``rank``."""
        return self.collective.pieces(self.count, self.layout.size, rank)

    @property
    def contributions(self) -> int:
        """Contributions to a reduction: one of each rank and, where there is one, the old residual."""
        return self.layout.size + self.collective.normalises

    def contribution(self, source: int) -> str:
        """The contribution numbered ``source``, in words."""
        return f"the contribution of rank {source}" if source < self.layout.size else "the old residual"

    @property
    def input_bytes(self) -> int:
        """Bytes of the largest input buffer, rounded up to the message."""
        return self.bytes + self.hidden * self.dtype.itemsize

    @property
    def output_bytes(self) -> int:
        """Bytes of the largest output buffer, rounded up to the message."""
        return self.bytes * (1 + self.collective.normalises)

    @property
    def overwrites(self) -> bool:
        """Whether a call overwrites what it reads, so that a second one on the same buffers has another result."""
        return self.in_place or self.collective.normalises

    def refusal(self) -> str | None:
        """Why no backend can run this problem, or None."""
        if reason := self._refuses_world():
            return reason
        if self.collective.normalises and (self.dtype.name not in rms_norm.DTYPES or self.op != "sum"):
            return f"{self.collective.name} is defined for sums of {' and '.join(rms_norm.DTYPES)} only"
        if self.count == 0:
            each = " per rank" if self.collective.splits else ""
            row = f"row of {self.hidden} " if self.hidden else ""
            return f"{self.size} B is too small for one {row}{self.dtype.name}{each}"
        if self.in_place and self.collective.in_place is None:
            return f"{self.collective.name} has no in-place form"
        if self.op == "avg" and not self.dtype.is_float:
            return f"avg is not defined for {self.dtype.name}"
        is_absent = self.skew is not None and (self.skew.rank or 0) >= self.layout.size
        return f"skew {self.skew} delays a rank that a world of {self.layout.size} lacks" if is_absent else None

    def _refuses_world(self) -> str | None:
        ranks = self.layout.size
        if ranks < 2:
            return "a collective needs at least 2 ranks"
        if self.collective.between_two and ranks > 2:
            return f"{self.collective.name} is between two ranks; this world has {ranks}: use --ranks 2"
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
        problem.hidden or None, len(layout.groups) if layout.beside else None, str(problem.skew or ""), case.backend,
    )  # fmt: skip
