"""NVSHMEM's symmetric memory, started once a launch, and the communicators that our kernels have in it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from collbench.devices.cuda import check
from collbench.devices.nvshmem import start, transport
from collbench.errors import HangError
from collbench.kernels.abi import MARKS, ON_GPU, PATIENCE_NS, TICKS, Stuck, alarm_of, args_type
from collbench.kernels.cubin import uses_nvshmem

if TYPE_CHECKING:
    from collbench.devices.device import Array
    from collbench.ranks.world import World


class Communicator:
    """Scratch, epoch and peers that all kernels on one world share: one stream, so one call at a time.

    Making and closing it is collective over the launch, since the symmetric heap is; ``first_epoch`` is where it
    begins to count its calls.
    """

    def __init__(self, world: World, device: Any, first_epoch: int) -> None:
        import cupy
        import nvshmem.core as nvshmem

        start(world)
        self._world, self._device = world, device
        self.scratch: Array = nvshmem.array((ON_GPU.bytes,), dtype="uint8")
        self.scratch[: ON_GPU.lamport_at].fill(0)
        self.scratch[ON_GPU.lamport_at :].fill(0xFF)
        self._state = cupy.asarray(np.array([first_epoch * TICKS, first_epoch >> 32, 0, 0], np.uint64))
        self._pinned = cupy.cuda.alloc_pinned_memory(ctypes.sizeof(Stuck))
        self._stuck = Stuck.from_address(self._pinned.ptr)
        ctypes.memset(self._pinned.ptr, 0, ctypes.sizeof(Stuck))
        self._loaded: dict[tuple[str, tuple[Any, ...]], Any] = {}
        self._libraries: list[tuple[Any, bool]] = []  # and whether NVSHMEM was told of it
        self._resident: dict[tuple[int, int], int] = {}
        order = np.argsort(world.layout.nodes, kind="stable")
        self.places = tuple(int(rank) for rank in order)  # rank at each place: node after node
        self._pes = [world.layout.members[rank] for rank in self.places]
        self.addresses = self._map(self.scratch.data.ptr) if world.member else []
        device.alarms.append(self.alarm)
        device.settle()
        world.launch.Barrier()  # nobody writes before everybody has cleared

    def reaches(self, ranks: Iterable[int]) -> bool:
        """Whether loads and stores reach the scratch of ``ranks`` of the world, on every member, each with ranks of its
        own to ask for; collective over the members."""
        mine = all(self.addresses[self.places.index(rank)] for rank in ranks)
        return bool(self._world.comm.allreduce(mine, op=min))

    def transport(self) -> str:
        """What kernels take from here to the others of the world."""
        return transport(self.scratch.data.ptr, self._pes)

    def _map(self, address: int) -> list[int]:
        """Address of every place's scratch as seen from here, 0 where loads and stores do not reach it."""
        from nvshmem.bindings import nvshmem as lib

        return [int(lib.ptr(address, pe)) for pe in self._pes]

    def args(self, send: Array, recv: Array, count: int, marks: int = 0) -> ctypes.Structure:
        """What a kernel is given for ``count`` elements from ``send`` to ``recv``."""
        places = len(self.places)
        return args_type(places)(
            in_=send.data.ptr, out=recv.data.ptr, count=count, state=self._state.data.ptr, stuck=self._pinned.ptr,
            marks=marks, patience=PATIENCE_NS, place=self.places.index(self._world.rank),
            scratch=(ctypes.c_uint64 * places)(*self.addresses), pe=(ctypes.c_int32 * places)(*self._pes),
        )  # fmt: skip

    def marks(self, blocks: int) -> Array:
        """Where that many blocks note the ends of their phases, zeroed."""
        import cupy

        return cupy.zeros((blocks, MARKS), np.uint64)

    def function(self, name: str, options: tuple[Any, ...], compiled: Callable[[], bytes]) -> Any:
        """The kernel ``name`` as it was compiled with ``options``; loaded once, from the cubin that ``compiled``
        returns. Collective over the members: RuntimeError on all of them where it does not load on one."""
        if (name, options) not in self._loaded:
            cubin, error = compiled(), None
            try:
                function = self._load(cubin, name)
            except Exception as mistake:  # NVSHMEM's errors are of several kinds
                error = f"{type(mistake).__name__}: {mistake}"
            words = self._world.first_words(error)
            if words:
                raise RuntimeError(f"the kernel {name} does not load: {words}")
            self._loaded[name, options] = function
        return self._loaded[name, options]

    def _load(self, cubin: bytes, name: str) -> Any:
        """The function ``name`` of ``cubin``, made known to NVSHMEM where it uses that."""
        from cuda.bindings import driver
        from nvshmem.bindings import nvshmem as lib

        library = check(driver.cuLibraryLoadData(cubin, [], [], 0, [], [], 0))
        if uses_nvshmem(cubin):
            lib.culibrary_init(int(library))
        self._libraries.append((library, uses_nvshmem(cubin)))
        return check(driver.cuKernelGetFunction(check(driver.cuLibraryGetKernel(library, name.encode()))))

    def resident(self, function: Any, threads: int) -> int:
        """Blocks of that many threads that run at once on every rank; collective over the members. A grid of more could
        wait for blocks that have not started."""
        from cuda.bindings import driver

        key = (int(function), threads)
        if key not in self._resident:
            each = check(driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(function, threads, 0))
            self._resident[key] = int(self._world.comm.allreduce(each * self._device.multiprocessors, op=min))
        return self._resident[key]

    def alarm(self) -> HangError | None:
        """Who waited for whom, once a kernel of this rank gave up; None before."""
        return alarm_of(self._stuck, self.places)

    def close(self) -> None:
        """Give the memory back when all ranks are done with it; collective over the launch."""
        import nvshmem.core as nvshmem
        from cuda.bindings import driver
        from nvshmem.bindings import nvshmem as lib

        self._device.settle()
        self._device.alarms.remove(self.alarm)
        self._world.launch.Barrier()
        for library, known in self._libraries:
            if known:
                lib.culibrary_finalize(int(library))
            check(driver.cuLibraryUnload(library))
        nvshmem.free_array(self.scratch)
