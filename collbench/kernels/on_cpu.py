"""Kernels on CPU ranks: symmetric memory out of MPI's shared windows, and kernels compiled for processors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from collbench.backends._kernels import KernelBackend, plain
from collbench.errors import CannotRunError
from collbench.kernels import host_compiler
from collbench.kernels.abi import (
    FIRST_EPOCH,
    LAST_EPOCHS,
    MARKS,
    ON_CPU,
)
from collbench.kernels.calls import KernelCall, Marked, phase_names
from collbench.kernels.cpu_communicator import Communicator, Marks, made_by_first
from collbench.kernels.host_compiler import CPU, Kernel
from collbench.kernels.kernel import defines, elements_at_once

if TYPE_CHECKING:
    from collbench.devices.device import Array, Call, Device
    from collbench.plan.problem import Workload
    from collbench.ranks.world import World

COMMUNICATOR = "communicator of the kernels on processors"
# Fibers of a rank: a quarter of the cells, within limits. Every one costs some, and every round of them a wait.
FEWEST_THREADS, MOST_THREADS, CELLS_OF_A_THREAD = 8, 128, 4


def open_communicator(world: World, first_epoch: int = FIRST_EPOCH) -> Communicator:
    """The communicator that all kernels on ``world`` share; collective over the launch."""
    return world.once(COMMUNICATOR, lambda: Communicator(world, first_epoch))


def open_near_wrap(world: World) -> None:
    """Make that communicator one whose flags are about to be used up."""
    open_communicator(world, LAST_EPOCHS)


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
        build = partial(host_compiler.kernel_library, file, options, CPU)
        return self.comm.kernel(file.symbol, tuple(options.items()), lambda: made_by_first(self.world, build))

    def _marked(self, work: Workload, send: Array, recv: Array) -> Marked:
        """The same launch, compiled to note the time at the end of every phase."""
        shape = self._shape(work)
        kernel = self._kernel(work, shape, {"COLL_PHASES": 1, "COLL_MARKS": MARKS})
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
