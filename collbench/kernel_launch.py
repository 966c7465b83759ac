"""One kernel launch with everything that it needs, ready to be enqueued again and again."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class Launch:
    """A kernel with its only argument, a structure by value, and its launch shape on one stream.

    With ``pdl`` its blocks may settle on the device while the kernel before it still runs (programmatic dependent
    launch); they wait for its end before they touch memory.
    """

    def __init__(self, function: Any, argument: ctypes.Structure, shape: Mapping[str, int], stream: int) -> None:
        from cuda.bindings import driver

        self._function, self._argument = function, argument
        self._pointers = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        config = driver.CUlaunchConfig()
        config.gridDimX, config.gridDimY, config.gridDimZ = shape["blocks"], 1, 1
        config.blockDimX, config.blockDimY, config.blockDimZ = shape["threads"], 1, 1
        config.hStream = stream
        if shape["pdl"]:
            overlap = driver.CUlaunchAttribute()
            overlap.id = driver.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
            overlap.value.programmaticStreamSerializationAllowed = 1
            config.attrs, config.numAttrs = [overlap], 1
        self._config, self._launch = config, driver.cuLaunchKernelEx

    def __call__(self) -> None:
        (error,) = self._launch(self._config, self._function, ctypes.addressof(self._pointers), 0)
        if int(error):
            raise RuntimeError(f"CUDA: {error.name}")


@dataclass(frozen=True)
class Marked:
    """A launch that notes when each block ended each phase; ``marks`` has shape (blocks, MARKS), in nanoseconds, the
    first for the begin of the kernel."""

    launch: Callable[[], object]
    marks: Any
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
