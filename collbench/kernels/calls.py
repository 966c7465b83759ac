"""Calls of kernels, prepared once and launched repeatedly, and the times of their phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Marks(Protocol):
    """Memory in which the blocks of a launch record when each phase ended."""

    @property
    def address(self) -> int:
        """The address to which a kernel writes."""

    def get(self) -> NDArray[np.uint64]:
        """Times in nanoseconds, shape (blocks, MARKS); column 0 is the start of a block. Waits for the device."""


@dataclass(frozen=True)
class Marked:
    """A launch that records when each block ended each phase."""

    launch: Callable[[], object]
    marks: Marks
    phases: Sequence[str]

    def __call__(self) -> None:
        self.launch()

    def seconds(self) -> dict[str, float]:
        """Duration of each phase: from the end of the previous phase in the last block (or the start of the first
        block) to its own end in the last block. Waits for the device."""
        marks = self.marks.get()
        first = marks[:, 0].min()
        ends = [0.0]
        for number in range(1, len(self.phases) + 1):  # a rank that skips a phase has no mark for it
            ends.append(max(ends[-1], float(max(marks[:, number].max(), first) - first)))
        return {phase: (end - begin) * 1e-9 for phase, begin, end in zip(self.phases, ends, ends[1:], strict=False)}


@dataclass(frozen=True)
class KernelCall:
    """The launches of one collective call; implements ``DescribedCall``. ``marked`` is None where the call takes
    several launches or its kernel has no phases."""

    launches: Sequence[Callable[[], object]]
    params: Mapping[str, str]
    wire_bytes: float | None
    marked: Callable[[], Marked] | None

    def __call__(self) -> None:
        for launch in self.launches:
            launch()
