"""Kernels on CPU ranks: symmetric memory out of MPI's shared windows, and kernels compiled for processors."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from mpi4py import MPI

from collbench import host_kernels
from collbench.errors import CannotRunError
from collbench.host_kernels import CPU, Kernel
from collbench.kernel_abi import (
    FIRST_EPOCH,
    LAST_EPOCHS,
    MARKS,
    ON_CPU,
    PATIENCE_NS,
    STATE_WORDS,
    TICKS,
    Stuck,
    alarm_of,
    args_type,
    defines,
    elements_at_once,
    phase_names,
)  # fmt: skip
from collbench.kernel_backend import KernelBackend, plain
from collbench.kernel_launch import KernelCall, Marked
from collbench.world import rest_until_all

if TYPE_CHECKING:
    from collbench.device import Array, Call, Device
    from collbench.plan import Workload
    from collbench.world import World

COMMUNICATOR = "communicator of the kernels on processors"
# Fibers of a rank: a quarter of the cells, within limits. Every one costs some, and every round of them a wait.
FEWEST_THREADS, MOST_THREADS, CELLS_OF_A_THREAD = 8, 128, 4
SHARED = Path("/dev/shm")
TROUBLE = {2: "there is no memory for the stacks of its threads", 3: "the stack of a thread was too small"}


def open_communicator(world: World, first_epoch: int = FIRST_EPOCH) -> Communicator:
    """The communicator that all kernels on ``world`` share; collective over the launch."""
    return world.once(COMMUNICATOR, lambda: Communicator(world, first_epoch))


def open_near_wrap(world: World) -> None:
    """Make that communicator one whose flags are about to be used up."""
    open_communicator(world, LAST_EPOCHS)


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


class Communicator:
    """Scratch, epoch and peers that all kernels on one world share, and the runtime that runs them on this rank."""

    def __init__(self, world: World, first_epoch: int) -> None:
        self.places = tuple(int(rank) for rank in np.argsort(world.layout.nodes, kind="stable"))
        self._world = world
        self._state = np.array([first_epoch * TICKS, first_epoch >> 32, 0, 0][:STATE_WORDS], np.uint64)
        self._stuck = Stuck()
        self._loaded: dict[tuple[Any, ...], Kernel] = {}
        self._windows: list[Any] = []
        self.addresses = [0] * len(self.places)
        self.short: str | None = None  # of shared memory, in words: then there is none, and every case is skipped
        if world.member:
            self._runtime = host_kernels.load_runtime(made_by_first(world, partial(host_kernels.runtime_library, CPU)))
            self._allocate()
            world.comm.Barrier()  # nobody writes before everybody has cleared

    def _allocate(self) -> None:
        """A window of every host's ranks; addresses of all that lie in this host's."""
        world = self._world
        host = world.comm.Split_type(MPI.COMM_TYPE_SHARED, world.rank)
        self.short = self._shortage(host)
        if self.short:
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

    def args(self, send: Array, recv: Array, count: int, marks: int = 0) -> ctypes.Structure:
        """What a kernel is given for ``count`` elements from ``send`` to ``recv``; a place is its own PE."""
        places = len(self.places)
        return args_type(places)(
            in_=send.ctypes.data, out=recv.ctypes.data, count=count, state=self._state.ctypes.data,
            stuck=ctypes.addressof(self._stuck), marks=marks, patience=PATIENCE_NS,
            place=self.places.index(self._world.rank),
            scratch=(ctypes.c_uint64 * places)(*self.addresses), pe=(ctypes.c_int32 * places)(*range(places)),
        )  # fmt: skip

    def kernel(self, symbol: str, options: tuple[Any, ...], compiled: Callable[[], bytes]) -> Kernel:
        """The kernel ``symbol`` as it was compiled with ``options``, loaded once. Collective over the members:
        RuntimeError on all of them where it does not load on one."""
        key = (symbol, options)
        if key not in self._loaded:
            content, error = compiled(), None
            try:
                found = Kernel(content, symbol)
            except (OSError, ValueError, AttributeError) as mistake:
                error = f"the kernel {symbol} does not load: {mistake}"
            if words := self._world.first_words(error):
                raise RuntimeError(words)
            self._loaded[key] = found
        return self._loaded[key]

    def launch(self, kernel: Kernel, argument: ctypes.Structure, shape: Mapping[str, int]) -> Launch:
        """A launch of ``kernel`` on this rank, with what it needs at hand: little of a call should be Python's."""
        begin, end = map(ctypes.c_void_p, kernel.shared)
        grid, width = ctypes.c_uint32(shape["blocks"]), ctypes.c_uint32(shape["threads"])
        given = (kernel.entry, ctypes.byref(argument), grid, width, begin, end)
        return Launch(partial(self._runtime.coll_cpu_run, *given), self.trouble)

    def trouble(self, code: int) -> Exception:
        """What a kernel that did not end well deserves: a HangError where it gave up waiting."""
        return alarm_of(self._stuck, self.places) or RuntimeError(TROUBLE.get(code, "the kernel trapped"))

    def close(self) -> None:
        """Give the memory back when all ranks are done with it; collective over the launch."""
        if self._windows:
            self._runtime.coll_cpu_detach(ctypes.c_void_p(self._mine.ctypes.data))
            del self._mine
            for each in self._windows:
                each.Free()


@dataclass(frozen=True)
class Launch:
    """One kernel with its argument, ready to be run again and again."""

    run: Callable[[], int]
    trouble: Callable[[int], Exception]

    def __call__(self) -> None:
        if code := self.run():
            raise self.trouble(code)


class Marks:
    """Where blocks note the ends of their phases; ``get`` returns them as they are now."""

    def __init__(self, blocks: int) -> None:
        self.table = np.zeros((blocks, MARKS), np.uint64)

    def get(self) -> Any:
        """Shape (blocks, MARKS), in nanoseconds."""
        return self.table


@dataclass(frozen=True)
class Session:
    """A kernel that is open on one world of CPU ranks."""

    backend: KernelBackend
    world: World
    arena: Array
    comm: Communicator

    def prepare(self, work: Workload, send: Array, recv: Array) -> Call:
        """One launch, or several where the scratch does not hold the message."""
        backend, comm, step = self.backend, self.comm, elements_at_once(self.backend, work, ON_CPU)
        if comm.short:
            raise CannotRunError(comm.short)
        if not step:
            raise CannotRunError(f"{backend.file.name}: the scratch is too small for so many ranks")
        if not comm.reaches(range(work.layout.size)):
            raise CannotRunError(f"{backend.file.name} on CPU ranks needs all of them on one host")
        shape = self._shape(work)
        kernel = self._kernel(work, shape, {})
        pieces = [comm.args(send[at:], recv[at:], min(step, work.count - at)) for at in range(0, work.count, step)]
        return KernelCall(
            [comm.launch(kernel, piece, shape) for piece in pieces],
            {plain(name): str(number) for name, number in shape.items()},
            backend.wire_bytes(work),
            partial(self._marked, work, send, recv) if len(pieces) == 1 and backend.file.phases else None,
        )

    def _shape(self, work: Workload) -> dict[str, int]:
        """Parameters as given, else one block with a power of two of threads."""
        enough = 1 << (self.backend.cells(work) // CELLS_OF_A_THREAD).bit_length()
        threads = min(MOST_THREADS, max(FEWEST_THREADS, enough))
        given = {"blocks": 1, "threads": threads, **self.backend.parameters}
        own = {name: values[0] for name, values in self.backend.file.defines.items()}
        return {name: number for name, number in {**own, **given}.items() if name != "pdl"}

    def _kernel(self, work: Workload, shape: Mapping[str, int], more: Mapping[str, int]) -> Kernel:
        """The loaded kernel: rank 0 compiles it or has it in its cache, the others get it from there."""
        file, options = self.backend.file, {**defines(self.backend, work, shape, ON_CPU), **more}
        build = partial(host_kernels.kernel_library, file, options, CPU)
        return self.comm.kernel(file.symbol, tuple(options.items()), lambda: made_by_first(self.world, build))

    def _marked(self, work: Workload, send: Array, recv: Array) -> Marked:
        """The same launch, compiled to note the time at the end of every phase."""
        shape = self._shape(work)
        kernel = self._kernel(work, shape, {"COLL_MARKS": MARKS})
        marks = Marks(shape["blocks"])
        piece = self.comm.args(send, recv, work.count, marks.table.ctypes.data)
        launch = self.comm.launch(kernel, piece, shape)
        return Marked(launch, marks, phase_names(self.backend.file.phases, work.layout.node_count))

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """The communicator belongs to the world."""


def open_session(backend: KernelBackend, world: World, device: Device, arena_bytes: int) -> Session:
    """``backend`` on the communicator that all kernels on ``world`` share; collective over the launch."""
    return Session(backend, world, device.arena(arena_bytes), open_communicator(world))
