"""Symmetric memory of CPU ranks, out of MPI's shared windows, and how kernels are loaded and run in it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from collbench.kernels import host_compiler
from collbench.kernels.abi import MARKS, ON_CPU, Stuck, alarm_of, args_of, first_state
from collbench.kernels.header import KernelFile
from collbench.kernels.host_compiler import CPU, LoadedKernel
from collbench.kernels.loader import Loader, Options
from collbench.ranks.world import rest_until_all

if TYPE_CHECKING:
    from collbench.devices.device import Array
    from collbench.kernels.kernel import Kernel, Shape
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

SHARED = Path("/dev/shm")
TROUBLE = {2: "there is no memory for the stacks of its threads", 3: "the stack of a thread was too small"}
# Fibers of a rank: a quarter of the cells, within limits. Every one costs some, and every round of them a wait.
FEWEST_THREADS, MOST_THREADS, CELLS_OF_A_THREAD = 8, 128, 4


def made_by_first(world: World, make: Callable[[], bytes]) -> bytes:
    """What ``make`` returns or raises on rank 0, on every member. The others sleep: a compiler needs their cores."""
    made: Future[bytes] = Future()
    if world.rank == 0:
        try:
            made.set_result(make())
        except Exception as error:
            made.set_exception(error)
    rest_until_all(world.comm)
    return world.led(made.result)


@dataclass(frozen=True)
class CpuLaunch:
    """One kernel with its argument, ready to be run again and again."""

    run: Callable[[], int]
    trouble: Callable[[int], Exception]

    def __call__(self) -> None:
        if code := self.run():
            raise self.trouble(code)


class CpuMarks:
    """Times of phases in host memory; implements ``Marks``."""

    def __init__(self, blocks: int) -> None:
        self._table = np.zeros((blocks, MARKS), np.uint64)

    @property
    def address(self) -> int:
        return self._table.ctypes.data

    def get(self) -> NDArray[np.uint64]:
        return self._table


class CpuCommunicator:
    """Scratch, epoch and peers that all kernels on one world share, and the runtime that runs them on this rank.
    Implements ``Communicator``."""

    layout = ON_CPU

    def __init__(self, world: World, first_epoch: int) -> None:
        self.places = world.layout.places
        self._world = world
        self.function: Loader[LoadedKernel] = Loader(world, self._compiled, LoadedKernel)
        self._state = np.array(first_state(first_epoch), np.uint64)
        self._stuck = Stuck()
        self._windows: list[Any] = []
        self.addresses = [0] * len(self.places)
        self._short: str | None = None  # of shared memory, in words: then there is none, and every case is skipped
        if world.member:
            self._runtime = host_compiler.load_runtime(
                made_by_first(world, partial(host_compiler.runtime_library, CPU))
            )
            self._allocate()
            world.comm.Barrier()  # nobody writes before everybody has cleared

    def _allocate(self) -> None:
        """A window of every host's ranks; addresses of all that lie in this host's."""
        world = self._world
        host = world.comm.Split_type(MPI.COMM_TYPE_SHARED, world.rank)
        self._short = self._shortage(host)
        if self._short:
            host.Free()
            return
        window = MPI.Win.Allocate_shared(ON_CPU.bytes, 1, comm=cast(MPI.Intracomm, host))
        self._windows = [window, host]
        there = host.allgather(world.rank)
        of_rank = {rank: np.asarray(window.Shared_query(index)[0]) for index, rank in enumerate(there)}
        self.addresses = [of_rank[rank].ctypes.data if rank in of_rank else 0 for rank in self.places]
        self._mine = of_rank[world.rank]
        self._mine[: ON_CPU.lamport_at] = 0
        self._mine[ON_CPU.lamport_at :] = 0xFF
        table = (ctypes.c_void_p * world.size)()
        for place, address in enumerate(self.addresses):
            table[place] = address
        self._runtime.coll_cpu_attach(
            ctypes.c_void_p(self._mine.ctypes.data), ctypes.c_size_t(ON_CPU.bytes), table, world.size
        )

    def _shortage(self, host: Any) -> str | None:
        """What a host lacks, the same words on all members: to write into shared memory that is not there would kill
        the rank."""
        words, needed = None, ON_CPU.bytes * host.Get_size()
        if SHARED.is_dir():
            state = os.statvfs(SHARED)
            free = state.f_bavail * state.f_frsize
            if free < needed:
                words = f"{needed / (1 << 20):.1f} MiB of {SHARED} are needed, {free / (1 << 20):.1f} MiB are free"
        return self._world.first_words(words)

    def reaches(self, ranks: Iterable[int]) -> bool:
        """Whether loads and stores reach the scratch of ``ranks`` of the world, on every member; collective over the
        members."""
        mine = all(self.addresses[self.places.index(rank)] for rank in ranks)
        return bool(self._world.comm.allreduce(mine, op=min))

    def refuses(self, kernel: Kernel) -> str | None:
        """Whether there is shared memory, of all ranks: puts are copies in it."""
        if self._short or self.reaches(self.places):
            return self._short
        return f"{kernel.file.name} on CPU ranks needs all of them on one host"

    def transport(self) -> str:
        """Nothing: there is one way."""
        return ""

    def shape(self, kernel: Kernel, problem: Problem) -> dict[str, int]:
        """Parameters as given, else one block with a power of two of threads."""
        enough = 1 << (kernel.cells(problem) // CELLS_OF_A_THREAD).bit_length()
        threads = min(MOST_THREADS, max(FEWEST_THREADS, enough))
        given = {"blocks": 1, "threads": threads, **kernel.parameters}
        own = {name: values[0] for name, values in kernel.file.defines.items()}
        return {name: number for name, number in {**own, **given}.items() if name != "pdl"}

    def fitted(self, kernel: Kernel, function: LoadedKernel, shape: Shape) -> Shape:
        """Any shape: threads are fibers."""
        return shape

    def launch(
        self, function: LoadedKernel, send: Array, recv: Array, count: int, shape: Shape, marks: int = 0
    ) -> CpuLaunch:
        """A launch on this rank, with what it needs at hand: little of a call should be Python's."""
        argument = args_of(
            self.places, self._world.rank, self.addresses, range(len(self.places)), in_=send.ctypes.data,
            out=recv.ctypes.data, count=count, state=self._state.ctypes.data, stuck=ctypes.addressof(self._stuck),
            marks=marks,
        )  # fmt: skip
        begin, end = map(ctypes.c_void_p, function.shared)
        grid, width = ctypes.c_uint32(shape["blocks"]), ctypes.c_uint32(shape["threads"])
        given = (function.entry, ctypes.byref(argument), grid, width, begin, end)
        return CpuLaunch(partial(self._runtime.coll_cpu_run, *given), self._trouble)

    def marks(self, blocks: int) -> CpuMarks:
        """Where that many blocks note the ends of their phases, zeroed."""
        return CpuMarks(blocks)

    def _compiled(self, file: KernelFile, options: Options) -> bytes:
        """The library: rank 0 compiles it or has it in its cache, the others get it from there."""
        return made_by_first(self._world, partial(host_compiler.kernel_library, file, options, CPU))

    def _trouble(self, code: int) -> Exception:
        """What a kernel that did not end well deserves: a HangError where it gave up waiting."""
        return alarm_of(self._stuck, self.places) or RuntimeError(TROUBLE.get(code, "the kernel trapped"))

    def close(self) -> None:
        """Give the memory back when all ranks are done with it; collective over the launch."""
        if self._windows:
            self._runtime.coll_cpu_detach(ctypes.c_void_p(self._mine.ctypes.data))
            del self._mine
            for each in self._windows:
                each.Free()
