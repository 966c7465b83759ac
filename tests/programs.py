"""Little programs that tests write in CUDA C++ and run in the emulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from emulated import a_layout
from kernel_files import source
from numpy.typing import NDArray

from collbench.kernels import host_compiler
from collbench.kernels.abi import FIRST_EPOCH, Scratch
from collbench.kernels.header import read
from collbench.kernels.host_compiler import LoadedKernel
from collbench.kernels.kernel import Kernel
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.verify import schedules
from collbench.verify.emulator import Comms, Emulator, Ending, load
from collbench.verify.findings import Wait
from collbench.verify.schedules import Schedule

SCRATCH = Scratch(4096, 4096)
NOTHING = np.zeros(1, np.uint32)
Words = NDArray[np.uint32]
Shape = tuple[int, int]


def small(folder: Path, body: str) -> Kernel:
    """A kernel of our own, which may put."""
    path = folder / "hop.cu"
    path.write_text(source() + '#define COLL_USES_PUT 1\n#include "collbench.cuh"\n' + body)
    return Kernel(read(path))


def a_work(layout: Layout, size: int = 4096) -> Problem:
    """A sum."""
    return Problem(layout, COLLECTIVES["all_reduce"], DTYPES["float32"], "sum", size, "chain", "hot", False)


def compiled(folder: Path, body: str, layout: str, threads: int) -> LoadedKernel:
    """A kernel of our own, compiled for a layout and a number of threads per block."""
    backend = small(folder, body)
    options = backend.defines(a_work(a_layout(layout)), {"threads": threads}, SCRATCH)
    return load(host_compiler.kernel_library(backend.file, options, host_compiler.EMULATED), "hop")


@dataclass(frozen=True)
class Ran:
    """How a run ended, what each rank wrote, who waited for whom, and whom the ranks that gave up blame."""

    ending: Ending
    out: list[Words]
    story: list[str]
    waits: list[Wait]
    reports: list[int]


@dataclass(frozen=True)
class Call:
    """A launch of a kernel on every rank; it gets ``given`` and the length of it as count."""

    kernel: LoadedKernel
    shape: Shape
    given: Words


def play(
    calls: Sequence[Call], room: int, layout: str = "1x1", schedule: Schedule | None = None,
    epoch: int = FIRST_EPOCH, pes: Sequence[int] | None = None, resident: int = 0,
) -> Ran:  # fmt: skip
    """Launch kernels in order on every rank, whose loads and stores reach its own node. All write to the same ``room``
    words of their rank."""
    nodes = a_layout(layout).nodes
    ranks = len(nodes)
    out = [np.zeros(room, np.uint32) for _ in range(ranks)]
    threads = max(blocks * each for blocks, each in (call.shape for call in calls))
    order = schedule or schedules.draw(0, ranks, *calls[0].shape)
    emulator = Emulator(order, ranks, Comms(1, SCRATCH, epoch), threads, pes, resident)
    try:
        for call in calls:
            for place in range(ranks):
                buffers = (call.given.ctypes.data, out[place].ctypes.data)
                reached = [node == nodes[place] for node in nodes]
                emulator.launch(place, 0, call.kernel, buffers, call.given.size, reached, call.shape)
        ending = emulator.run()
        blamed = [found.partner for found in map(emulator.report, range(ranks)) if found]
        return Ran(ending, out, emulator.waits(range(ranks)), emulator.waiting(), blamed)
    finally:
        emulator.close()


def run(
    folder: Path, body: str, given: Words, room: int, *, layout: str = "1x1", shape: Shape = (1, 1),
    schedule: Schedule | None = None, epoch: int = FIRST_EPOCH, pes: Sequence[int] | None = None,
) -> Ran:  # fmt: skip
    """Compile a kernel and launch it once on every rank: ``play``."""
    call = Call(compiled(folder, body, layout, shape[1]), shape, given)
    return play([call], room, layout, schedule, epoch, pes)
