"""Symmetric memory of GPU ranks, from NVSHMEM, and kernels loaded and launched in it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from collbench.devices.cuda import check
from collbench.devices.nvshmem import start, transport
from collbench.errors import CannotRunError, HangError
from collbench.host import transports
from collbench.kernels import nvrtc
from collbench.kernels.abi import MARKS, ON_GPU, Stuck, alarm_of, args_of, first_state
from collbench.kernels.cubin import uses_nvshmem
from collbench.kernels.gpu_launch import GpuLaunch, address_of
from collbench.kernels.header import KernelFile
from collbench.kernels.loader import Loader, Options

if TYPE_CHECKING:
    from collbench.devices.device import Array
    from collbench.devices.gpu import Gpu
    from collbench.kernels.kernel import Kernel, Shape
    from collbench.kernels.slices import Slice
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

FIRST_WITH_OVERLAP = 90  # the first architecture with griddepcontrol


@dataclass(frozen=True)
class GpuMarks:
    """Times of phases in device memory; implements ``Marks``."""

    table: Array

    @property
    def address(self) -> int:
        return int(self.table.data.ptr)

    def get(self) -> NDArray[np.uint64]:
        found: NDArray[np.uint64] = self.table.get()
        return found


class GpuCommunicator:
    """Scratch, epoch and peers shared by all kernels on one world; implements ``Communicator``.

    Calls run one at a time, on one stream. Creating and closing it is collective over the launch, since the symmetric
    heap is; its first call has the epoch ``first_epoch``.
    """

    layout = ON_GPU

    def __init__(self, world: World, device: Gpu, first_epoch: int) -> None:
        import cupy
        import nvshmem.core as nvshmem

        start(world)
        self._world, self._device = world, device
        self.function: Loader[Any] = Loader(world, self._compiled, self._load)
        self.scratch: Array = nvshmem.array((ON_GPU.bytes,), dtype="uint8")
        self.scratch[: ON_GPU.lamport_at].fill(0)
        self.scratch[ON_GPU.lamport_at :].fill(0xFF)
        self._state = cupy.asarray(np.array(first_state(first_epoch), np.uint64))
        self._pinned = cupy.cuda.alloc_pinned_memory(ctypes.sizeof(Stuck))
        self._stuck = Stuck.from_address(self._pinned.ptr)
        ctypes.memset(self._pinned.ptr, 0, ctypes.sizeof(Stuck))
        self._libraries: list[tuple[Any, bool]] = []  # and whether it is registered with NVSHMEM
        self._resident: dict[tuple[int, int], int] = {}
        self.places = world.layout.places
        self._pes = [world.layout.members[rank] for rank in self.places]
        self.addresses = self._map(self.scratch.data.ptr) if world.member else []
        device.alarms.append(self.alarm)
        device.settle()
        world.launch.Barrier()  # no rank writes before all have cleared their scratch

    def _map(self, address: int) -> list[int]:
        """The local address of every place's scratch, 0 where loads and stores do not reach it."""
        from nvshmem.bindings import nvshmem as lib

        return [int(lib.ptr(address, pe)) for pe in self._pes]

    def reaches(self, ranks: Iterable[int]) -> bool:
        """Whether every member reaches the scratch of its ``ranks`` by loads and stores; collective over the members,
        each of which may pass different ranks."""
        mine = all(self.addresses[self.places.index(rank)] for rank in ranks)
        return bool(self._world.comm.allreduce(mine, op=min))

    def refuses(self, kernel: Kernel) -> str | None:
        """Why the kernel cannot run, or None: loads and stores must reach every rank, or every rank of this node."""
        nodes = self._world.layout.nodes
        mine, anywhere = nodes[self._world.rank], kernel.file.nodes == "one"
        if not self.reaches(rank for rank, node in enumerate(nodes) if anywhere or node == mine):
            return f"{kernel.file.name} needs ranks that reach each other by loads and stores; these do not"
        return None if anywhere else self._refuses_words(kernel)

    def _refuses_words(self, kernel: Kernel) -> str | None:
        """Why its cells cannot be put over the transport of these members, or None; rank 0 decides for all."""
        found = transports.merged(self._world.comm.allgather(self.transport()))
        doubt = self._world.led(lambda: transports.doubt(found, flagged=kernel.file.cell == "ll"))
        if doubt is None:
            return None
        return (
            f"{kernel.file.name} needs puts that write whole words, each once; {doubt}. "
            f"If you know that it does, set {transports.WORDS_ONCE}={found}"
        )

    def transport(self) -> str:
        """The transports of kernels from this rank to the other members."""
        return transport(self.scratch.data.ptr, self._pes)

    def shape(self, kernel: Kernel, problem: Problem) -> dict[str, int]:
        """The launch shape that the kernel chooses."""
        return kernel.shape(problem)

    def fitted(self, kernel: Kernel, function: Any, shape: Shape) -> dict[str, int]:
        """``shape`` with no more blocks than can be resident, and without overlap where the architecture lacks it."""
        most = self.resident(function, shape["threads"])
        if shape["blocks"] > most and "blocks" in kernel.parameters:
            raise CannotRunError(f"blocks={shape['blocks']} exceeds the {most} blocks that can be resident on this GPU")
        overlap = shape["pdl"] if int(self._device.arch.removeprefix("sm_")) >= FIRST_WITH_OVERLAP else 0
        return {**shape, "blocks": min(shape["blocks"], most), "pdl": overlap}

    def resident(self, function: Any, threads: int) -> int:
        """Blocks of ``threads`` threads that are resident at once on every rank; collective over the members. A larger
        grid could wait for blocks that have not started."""
        from cuda.bindings import driver

        key = (int(function), threads)
        if key not in self._resident:
            each = check(driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(function, threads, 0))
            self._resident[key] = int(self._world.comm.allreduce(each * self._device.multiprocessors, op=min))
        return self._resident[key]

    def launch(self, function: Any, what: Slice, shape: Shape, marks: int = 0) -> GpuLaunch:
        """A launch on a slice of a message, on the device's stream."""
        return GpuLaunch(function, self.args(what, marks), shape, self._device.stream.ptr)

    def args(self, what: Slice, marks: int = 0) -> ctypes.Structure:
        """The argument of a kernel for a slice of a message."""
        return args_of(
            self.places, self._world.rank, self.addresses, self._pes, state=self._state.data.ptr,
            stuck=self._pinned.ptr, marks=marks, **what.fields(address_of),
        )  # fmt: skip

    def marks(self, blocks: int) -> GpuMarks:
        """Zeroed memory for the marks of ``blocks`` blocks."""
        import cupy

        return GpuMarks(cupy.zeros((blocks, MARKS), np.uint64))

    def _compiled(self, file: KernelFile, options: Options) -> bytes:
        """The cubin, which rank 0 compiles or reads from its cache and broadcasts."""
        with self._world.patience(2 * nvrtc.COMPILE_SECONDS):
            return self._world.led(partial(nvrtc.load_or_build, file, options, self._device.arch))

    def _load(self, cubin: bytes, symbol: str) -> Any:
        """The function ``symbol`` of ``cubin``, which is registered with NVSHMEM where it uses it."""
        from cuda.bindings import driver
        from nvshmem.bindings import nvshmem as lib

        library = check(driver.cuLibraryLoadData(cubin, [], [], 0, [], [], 0))
        if uses_nvshmem(cubin):
            lib.culibrary_init(int(library))
        self._libraries.append((library, uses_nvshmem(cubin)))
        return check(driver.cuKernelGetFunction(check(driver.cuLibraryGetKernel(library, symbol.encode()))))

    def alarm(self) -> HangError | None:
        """The HangError for a spin of this rank that gave up; None where none did."""
        return alarm_of(self._stuck, self._pes)

    def close(self) -> None:
        """Free the memory once all ranks are done with it; collective over the launch."""
        import nvshmem.core as nvshmem
        from cuda.bindings import driver
        from nvshmem.bindings import nvshmem as lib

        self._device.settle()
        self._device.alarms.remove(self.alarm)
        self._world.launch.Barrier()
        for library, registered in self._libraries:
            if registered:
                lib.culibrary_finalize(int(library))
            check(driver.cuLibraryUnload(library))
        nvshmem.free_array(self.scratch)
