"""What one launch works on: the whole buffers, or a slice of a message that exceeds the scratch; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collbench.kernels.abi import ROWS_POINTERS

if TYPE_CHECKING:
    from collbench.devices.device import Array
    from collbench.plan.problem import Problem


@dataclass(frozen=True)
class Slice:
    """``count`` elements from the beginnings of ``send`` and ``recv``. ``rows``: weight and residual, where rows are
    normalised. ``part``: where each rank has a part of the message, elements from one part to the next, in the larger
    buffer; ``count`` is then of every part."""

    send: Array
    recv: Array
    count: int
    rows: tuple[Array, ...] = ()
    part: int = 0

    def fields(self, address: Callable[[Array], int]) -> dict[str, int]:
        """The fields of the kernel's argument; ``address`` is that of an array."""
        rows = dict(zip(ROWS_POINTERS, map(address, self.rows), strict=False))
        parts = {"part": self.part} if self.part else {}
        return {"in_": address(self.send), "out": address(self.recv), "count": self.count, **rows, **parts}


def slices(problem: Problem, send: Array, recv: Array, step: int) -> list[Slice]:
    """The slices of a message, of at most ``step`` elements each."""
    if problem.collective.splits:
        part = problem.count // problem.layout.size
        most = max(1, step // problem.layout.size)
        return [Slice(send[at:], recv[at:], min(most, part - at), part=part) for at in range(0, part, most)]
    return [
        Slice(send[at:], recv[at:], min(step, problem.count - at), _rows(problem, send, recv, at))
        for at in range(0, problem.count, step)
    ]


def _rows(problem: Problem, send: Array, recv: Array, at: int) -> tuple[Array, ...]:
    """The weight, behind the message in ``send``, and from element ``at`` on the residual, behind the rows in ``recv``;
    nothing where a collective does not normalise rows."""
    return (send[problem.count :], recv[problem.count + at :]) if problem.collective.normalises else ()
