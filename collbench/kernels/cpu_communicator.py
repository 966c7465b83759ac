"""Symmetric memory of CPU ranks, in MPI shared windows, and kernels loaded and run in it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from collbench.host.memory import shared_room, show_bytes
from collbench.kernels import host_compiler
from collbench.kernels.abi import (
    MARKS,
    ON_CPU,
    SMALLER_ON_CPU,
    Scratch,
    Stuck,
    alarm_of,
    args_of,
    first_state,
)
from collbench.kernels.header import KernelFile
from collbench.kernels.host_compiler import COMPILE_SECONDS, CPU, VERSION_SECONDS, LoadedKernel
from collbench.kernels.loader import Loader, Options
from collbench.ranks.world import rest_until_all

if TYPE_CHECKING:
    from collbench.devices.device import Array
    from collbench.kernels.kernel import Kernel, Shape
    from collbench.kernels.slices import Slice
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World


def _address(array: Array) -> int:
    return int(array.ctypes.data)


FAILURES = {2: "no memory for the stacks of the kernel's threads", 3: "the stack of a thread was too small"}
COMPILERS_SECONDS = COMPILE_SECONDS + 2 * VERSION_SECONDS  # for rank 0, while the others wait
# Fibers per rank: a quarter of the cells, within limits. Each costs time to start, and each round over them a wait.
FEWEST_THREADS, MOST_THREADS, CELLS_OF_A_THREAD = 8, 128, 4


def made_by_first(world: World, make: Callable[[], bytes]) -> bytes:
    """On every member, what ``make`` returns or raises on rank 0. The others sleep: the compiler needs their cores."""
    made: Future[bytes] = Future()
    with world.patience(COMPILERS_SECONDS):
        if world.rank == 0:
            try:
                made.set_result(make())
            except Exception as error:
                made.set_exception(error)
        rest_until_all(world.comm)
    return world.led(made.result)


@dataclass(frozen=True)
class CpuLaunch:
    """One kernel with its argument, prepared once and run repeatedly."""

    run: Callable[[], int]
    failure: Callable[[int], Exception]

    def __call__(self) -> None:
        if code := self.run():
            raise self.failure(code)


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
    """Scratch, epoch and peers shared by all kernels on one world, and the runtime that runs them on this rank;
    implements ``Communicator``."""

    def __init__(self, world: World, first_epoch: int) -> None:
        self.places, self.layout = world.layout.places, ON_CPU
        self._world = world
        self.function: Loader[LoadedKernel] = Loader(world, self._compiled, LoadedKernel)
        self._state = np.array(first_state(first_epoch), np.uint64)
        self._stuck = Stuck()
        self._windows: list[Any] = []
        self.addresses = [0] * len(self.places)
        self._short: str | None = None  # why shared memory is too small: then every case is skipped
        if world.member:
            self._runtime = host_compiler.load_runtime(
                made_by_first(world, partial(host_compiler.runtime_library, CPU))
            )
            self._allocate()
            world.comm.Barrier()  # no rank writes before all have cleared their scratch

    def _allocate(self) -> None:
        """Allocate one window per host and record the address of each rank's scratch on this host."""
        world = self._world
        host = world.comm.Split_type(MPI.COMM_TYPE_SHARED, world.rank)
        self.layout = self._that_fits(host)
        self._short = self._shortage(host)
        if self._short:
            host.Free()
            return
        window = MPI.Win.Allocate_shared(self.layout.bytes, 1, comm=cast(MPI.Intracomm, host))
        self._windows = [window, host]
        there = host.allgather(world.rank)
        of_rank = {rank: np.asarray(window.Shared_query(index)[0]) for index, rank in enumerate(there)}
        self.addresses = [of_rank[rank].ctypes.data if rank in of_rank else 0 for rank in self.places]
        self._mine = of_rank[world.rank]
        self._mine[: self.layout.lamport_at] = 0
        self._mine[self.layout.lamport_at :] = 0xFF
        table = (ctypes.c_void_p * world.size)()
        for place, address in enumerate(self.addresses):
            table[place] = address
        self._runtime.coll_cpu_attach(
            ctypes.c_void_p(self._mine.ctypes.data), ctypes.c_size_t(self.layout.bytes), table, world.size
        )

    def _that_fits(self, host: Any) -> Scratch:
        """The largest scratch for which all hosts of the world have shared memory, else the smallest."""
        room = shared_room()
        sizes = (ON_CPU, *SMALLER_ON_CPU)
        fits = (n for n, each in enumerate(sizes) if room is None or each.bytes * host.Get_size() <= room.bytes)
        return sizes[self._world.highest_int(next(fits, len(sizes) - 1))]

    def _shortage(self, host: Any) -> str | None:
        """Why a host has too little shared memory, the same on all members, or None. A write beyond the limit would
        kill the rank."""
        words, room, needed = None, shared_room(), self.layout.bytes * host.Get_size()
        if room and room.bytes < needed:
            need, have = map(show_bytes, (needed, room.bytes))
            words = f"kernels need {need} {room.where}, but {have} are free; enlarge it (Docker: --shm-size)"
        return self._world.first_words(words)

    def reaches(self, ranks: Iterable[int]) -> bool:
        """Whether every member reaches the scratch of ``ranks`` by loads and stores; collective over the members."""
        mine = all(self.addresses[self.places.index(rank)] for rank in ranks)
        return bool(self._world.comm.allreduce(mine, op=min))

    def refuses(self, kernel: Kernel) -> str | None:
        """Why the kernel cannot run, or None: puts too are copies in shared memory, so all ranks must share it."""
        if self._short or self.reaches(self.places):
            return self._short
        return f"{kernel.file.name} needs all CPU ranks on one host"

    def transport(self) -> str:
        """The empty string: CPU ranks have one transport, shared memory."""
        return ""

    def shape(self, kernel: Kernel, problem: Problem) -> dict[str, int]:
        """Launch parameters as given, else one block whose number of threads is a power of two."""
        enough = 1 << (kernel.cells(problem) // CELLS_OF_A_THREAD).bit_length()
        threads = min(MOST_THREADS, max(FEWEST_THREADS, enough))
        given = {"blocks": 1, "threads": threads, **kernel.parameters}
        own = {name: values[0] for name, values in kernel.file.defines.items()}
        return {name: number for name, number in {**own, **given}.items() if name != "pdl"}

    def fitted(self, kernel: Kernel, function: LoadedKernel, shape: Shape) -> Shape:
        """``shape`` unchanged: threads are fibers, so any shape fits."""
        return shape

    def launch(self, function: LoadedKernel, what: Slice, shape: Shape, marks: int = 0) -> CpuLaunch:
        """A launch on this rank, its arguments converted in advance, so that little of a call is spent in Python."""
        argument = args_of(
            self.places, self._world.rank, self.addresses, range(len(self.places)), state=self._state.ctypes.data,
            stuck=ctypes.addressof(self._stuck), marks=marks, **what.fields(_address),
        )  # fmt: skip
        begin, end = map(ctypes.c_void_p, function.shared)
        grid, width = ctypes.c_uint32(shape["blocks"]), ctypes.c_uint32(shape["threads"])
        given = (function.entry, ctypes.byref(argument), grid, width, begin, end)
        return CpuLaunch(partial(self._runtime.coll_cpu_run, *given), self._failure)

    def marks(self, blocks: int) -> CpuMarks:
        """Zeroed memory for the marks of ``blocks`` blocks."""
        return CpuMarks(blocks)

    def _compiled(self, file: KernelFile, options: Options) -> bytes:
        """The library, which rank 0 compiles or reads from its cache and broadcasts."""
        return made_by_first(self._world, partial(host_compiler.kernel_library, file, options, CPU))

    def _failure(self, code: int) -> Exception:
        """The exception for a failed kernel: HangError where a spin gave up."""
        members = [self._world.layout.members[rank] for rank in self.places]
        return alarm_of(self._stuck, members) or RuntimeError(FAILURES.get(code, "the kernel trapped"))

    def close(self) -> None:
        """Free the memory once all ranks are done with it; collective over the launch."""
        if self._windows:
            self._runtime.coll_cpu_detach(ctypes.c_void_p(self._mine.ctypes.data))
            del self._mine
            for each in self._windows:
                each.Free()
