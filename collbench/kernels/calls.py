"""One kernel launch with everything that it needs, ready to be enqueued again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Marks(Protocol):
    """Where the blocks of a launch note when each phase ended."""

    @property
    def address(self) -> int:
        """Where a kernel writes them."""

    def get(self) -> NDArray[np.uint64]:
        """Shape (blocks, MARKS), in nanoseconds, the first for the begin of the kernel; waits for the device."""


@dataclass(frozen=True)
class Marked:
    """A launch that notes when each block ended each phase."""

    launch: Callable[[], object]
    marks: Marks
    phases: Sequence[str]

    def __call__(self) -> None:
        self.launch()

    def seconds(self) -> dict[str, float]:
        """For each phase, from its predecessor's end in the last block (or the first block's begin) to its own end in
        the last block. Waits for the device."""
        marks = self.marks.get()
        first = marks[:, 0].min()
        ends = [0.0]
        for number in range(1, len(self.phases) + 1):  # a rank that takes no part in a phase has no mark of it
            ends.append(max(ends[-1], float(max(marks[:, number].max(), first) - first)))
        return {phase: (end - begin) * 1e-9 for phase, begin, end in zip(self.phases, ends, ends[1:], strict=False)}


@dataclass(frozen=True)
class KernelCall:
    """The launches of one collective call; ``params`` and ``wire_bytes`` are what its row says of them. ``marked``
    makes the same call with the times of its phases, where it is one launch that has some."""

    launches: Sequence[Callable[[], object]]
    params: Mapping[str, str]
    wire_bytes: float | None
    marked: Callable[[], Marked] | None

    def __call__(self) -> None:
        for launch in self.launches:
            launch()
