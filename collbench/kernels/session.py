"""A kernel that is open on one world: compiled for the problem, cut to the scratch, launched on its communicator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from collbench.errors import CannotRunError
from collbench.kernels.abi import FIRST_EPOCH, LAST_EPOCHS, MARKS, Scratch, phase_names
from collbench.kernels.calls import KernelCall, Marked, Marks
from collbench.kernels.header import KernelFile
from collbench.kernels.kernel import Kernel, Shape, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from collbench.devices.device import Array, Call, Device
    from collbench.devices.gpu import Gpu
    from collbench.kernels.loader import Options
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World


class Communicator(Protocol):
    """Symmetric memory, epoch and peers that all kernels on one world share, and how kernels get into it."""

    @property
    def layout(self) -> Scratch:
        """What of the symmetric memory is for what."""

    @property
    def function(self) -> Callable[[KernelFile, Options], Any]:
        """Compiles and loads a kernel; collective over the members."""

    def refuses(self, kernel: Kernel) -> str | None:
        """Why this kernel cannot run on this machine, the same on all members; collective over them."""

    def shape(self, kernel: Kernel, problem: Problem) -> dict[str, int]:
        """Parameters of a launch, as far as they are known before the kernel is compiled."""

    def fitted(self, kernel: Kernel, function: Any, shape: Shape) -> Shape:
        """The launch shape that this device can run; raises CannotRunError where one was asked for that it cannot."""

    def launch(self, function: Any, send: Array, recv: Array, count: int, shape: Shape, marks: int = 0) -> Call:
        """A launch for ``count`` elements; ``marks``: address of the times of phases, 0 for none."""

    def marks(self, blocks: int) -> Marks:
        """Where that many blocks note the ends of their phases, zeroed."""

    def reaches(self, ranks: Iterable[int]) -> bool:
        """Whether loads and stores reach the scratch of ``ranks`` of the world, on every member; collective."""

    def transport(self) -> str:
        """What kernels take from here to the others of the world; "" where there is nothing to tell."""

    def close(self) -> None:
        """Give the memory back when all ranks are done with it; collective over the launch."""


def open_communicator(world: World, device: Device, first_epoch: int = FIRST_EPOCH) -> Communicator:
    """The communicator that all kernels on ``world`` share; collective over the launch. ``first_epoch`` is where it
    begins to count calls, if this call makes it."""
    return world.once(f"communicator of the kernels ({device.kind})", lambda: _made(world, device, first_epoch))


def _made(world: World, device: Device, first_epoch: int) -> Communicator:
    if device.kind == "gpu":
        from collbench.kernels.gpu_communicator import GpuCommunicator

        return GpuCommunicator(world, cast("Gpu", device), first_epoch)
    from collbench.kernels.cpu_communicator import CpuCommunicator

    return CpuCommunicator(world, first_epoch)


def open_near_wrap(world: World, device: Device) -> None:
    """Make that communicator one whose flags are about to be used up."""
    open_communicator(world, device, LAST_EPOCHS)


def open_session(kernel: Kernel, world: World, device: Device, arena_bytes: int) -> KernelSession:
    """``kernel`` on the communicator that all kernels on ``world`` share; collective over the launch."""
    return KernelSession(kernel, world, device.arena(arena_bytes), open_communicator(world, device))


@dataclass(frozen=True)
class KernelSession:
    """A kernel that is open on one world."""

    kernel: Kernel
    world: World
    arena: Array
    comm: Communicator

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """One launch, or several where the scratch does not hold the message."""
        kernel, comm = self.kernel, self.comm
        step = kernel.elements_at_once(problem, comm.layout)
        if reason := comm.refuses(kernel):
            raise CannotRunError(reason)
        if not step:
            raise CannotRunError(f"{kernel.file.name}: the scratch is too small for so many ranks")
        function, shape = self._function(problem, {})
        launches = [
            comm.launch(function, send[at:], recv[at:], min(step, problem.count - at), shape)
            for at in range(0, problem.count, step)
        ]
        return KernelCall(
            launches,
            {plain(name): str(number) for name, number in shape.items()},
            kernel.wire_bytes(problem),
            partial(self._marked, problem, send, recv) if len(launches) == 1 and kernel.file.phases else None,
        )

    def _function(self, problem: Problem, more: Options) -> tuple[Any, Shape]:
        """The kernel, compiled for ``problem`` and loaded, and the shape that it is launched in."""
        shape = self.comm.shape(self.kernel, problem)
        function = self.comm.function(
            self.kernel.file, {**self.kernel.defines(problem, shape, self.comm.layout), **more}
        )
        return function, self.comm.fitted(self.kernel, function, shape)

    def _marked(self, problem: Problem, send: Array, recv: Array) -> Marked:
        """The same launch, compiled to note the time at the end of every phase."""
        function, shape = self._function(problem, {"COLL_MARKS": MARKS})
        marks = self.comm.marks(shape["blocks"])
        launch = self.comm.launch(function, send, recv, problem.count, shape, marks.address)
        return Marked(launch, marks, phase_names(self.kernel.file.phases, problem.layout.node_count))

    def transport(self) -> str:
        """What the kernels take from this rank to the other members."""
        return self.comm.transport()

    def release(self) -> None:
        """Calls hold nothing."""

    def close(self) -> None:
        """The communicator belongs to the world."""
