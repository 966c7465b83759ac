"""A kernel that is open on one world: compiled for the workload, cut to the scratch, launched on its communicator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from collbench import kernels
from collbench.errors import CannotRunError
from collbench.kernel_abi import FIRST_EPOCH, LAST_EPOCHS, MARKS, ON_GPU, defines, elements_at_once, phase_names
from collbench.kernel_backend import KernelBackend, plain
from collbench.kernel_launch import KernelCall, Launch, Marked
from collbench.symmetric import Communicator

if TYPE_CHECKING:
    from collbench.device import Array, Call
    from collbench.plan import Workload
    from collbench.world import World

COMMUNICATOR = "communicator of the kernels"
FIRST_WITH_OVERLAP = 90  # the architecture from which on griddepcontrol exists
Defines = Mapping[str, str | int]


def open_communicator(world: World, device: Any, first_epoch: int = FIRST_EPOCH) -> Communicator:
    """The communicator that all kernels on ``world`` share; collective over the launch. ``first_epoch`` is where it
    begins to count calls, if this call makes it."""
    return world.once(COMMUNICATOR, lambda: Communicator(world, device, first_epoch))


def open_near_wrap(world: World, device: Any) -> None:
    """Make that communicator one whose flags are about to be used up."""
    open_communicator(world, device, LAST_EPOCHS)


@dataclass(frozen=True)
class Session:
    """A kernel that is open on one world."""

    backend: KernelBackend
    world: World
    device: Any
    arena: Array
    comm: Communicator

    def prepare(self, work: Workload, send: Array, recv: Array) -> Call:
        """One launch, or several where the scratch does not hold the message."""
        backend, comm, step = self.backend, self.comm, elements_at_once(self.backend, work, ON_GPU)
        if not step:
            raise CannotRunError(f"{backend.file.name}: the scratch is too small for so many ranks")
        if not comm.reaches(self._neighbours(work)):
            raise CannotRunError(f"{backend.file.name} needs loads and stores between more ranks than they reach here")
        shape = backend.shape(work)
        function = self._function(defines(backend, work, shape, ON_GPU))
        shape = self._fitting(function, shape)
        pieces = [comm.args(send[at:], recv[at:], min(step, work.count - at)) for at in range(0, work.count, step)]
        return KernelCall(
            [Launch(function, piece, shape, self.device.stream.ptr) for piece in pieces],
            {plain(name): str(number) for name, number in shape.items()},
            backend.wire_bytes(work),
            partial(self._marked, work, send, recv) if len(pieces) == 1 and backend.file.phases else None,
        )

    def _neighbours(self, work: Workload) -> list[int]:
        """Ranks that this one must reach by loads and stores: all, or those of its node."""
        nodes = work.layout.nodes
        anywhere = self.backend.file.nodes == "one"
        return [rank for rank in range(work.layout.size) if anywhere or nodes[rank] == nodes[self.world.rank]]

    def _fitting(self, function: Any, shape: Mapping[str, int]) -> dict[str, int]:
        """The launch shape for this device: no more blocks than can be resident, overlap where it is known."""
        most = self.comm.resident(function, shape["threads"])
        if shape["blocks"] > most and "blocks" in self.backend.parameters:
            raise CannotRunError(f"blocks={shape['blocks']} are more than the {most} that can be resident here")
        overlap = shape["pdl"] if int(self.device.arch.removeprefix("sm_")) >= FIRST_WITH_OVERLAP else 0
        return {**shape, "blocks": min(shape["blocks"], most), "pdl": overlap}

    def _marked(self, work: Workload, send: Array, recv: Array) -> Marked:
        """The same launch, compiled to note the time at the end of every phase."""
        shape = self.backend.shape(work)
        function = self._function({**defines(self.backend, work, shape, ON_GPU), "COLL_MARKS": MARKS})
        shape = self._fitting(function, shape)
        marks = self.comm.marks(shape["blocks"])
        piece = self.comm.args(send, recv, work.count, marks.data.ptr)
        launch = Launch(function, piece, shape, self.device.stream.ptr)
        return Marked(launch, marks, phase_names(self.backend.file.phases, work.layout.node_count))

    def _function(self, options: Defines) -> Any:
        """The loaded kernel: rank 0 compiles it or has it in its cache, the others get it from there."""
        file = self.backend.file
        build = partial(kernels.load_or_build, file, options, self.device.arch)
        return self.comm.function(file.symbol, tuple(options.items()), lambda: self.world.led(build))

    def transport(self) -> str:
        """What the kernels take from this PE to the other members."""
        return self.comm.transport()

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """The communicator belongs to the world."""
