"""A kernel open on one world: compiled per problem, split into launches that fit the scratch, and launched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from collbench.errors import CannotRunError
from collbench.kernels.abi import FIRST_EPOCH, LAST_EPOCHS, MARKS, Scratch, phase_names
from collbench.kernels.calls import KernelCall, Marked, Marks
from collbench.kernels.header import KernelFile
from collbench.kernels.kernel import Kernel, Shape, plain
from collbench.kernels.slices import Slice, slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from collbench.devices.device import Array, Call, Device
    from collbench.devices.gpu import Gpu
    from collbench.kernels.loader import Options
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World


class Communicator(Protocol):
    """Symmetric memory, epoch and peers shared by all kernels on one world; loads and launches the kernels."""

    @property
    def layout(self) -> Scratch:
        """The layout of the symmetric memory."""

    @property
    def function(self) -> Callable[[KernelFile, Options], Any]:
        """Compiles and loads a kernel; collective over the members."""

    def refuses(self, kernel: Kernel) -> str | None:
        """Why this kernel cannot run on this machine, the same on all members; collective over them."""

    def shape(self, kernel: Kernel, problem: Problem) -> dict[str, int]:
        """Parameters of a launch, chosen before the kernel is compiled."""

    def fitted(self, kernel: Kernel, function: Any, shape: Shape) -> Shape:
        """``shape`` as this device can run it; raises CannotRunError where explicit parameters do not fit."""

    def launch(self, function: Any, what: Slice, shape: Shape, marks: int = 0) -> Call:
        """A launch on a slice of a message; ``marks``: address of the marks, 0 for none."""

    def marks(self, blocks: int) -> Marks:
        """Zeroed memory for the marks of ``blocks`` blocks."""

    def reaches(self, ranks: Iterable[int]) -> bool:
        """Whether every member reaches the scratch of ``ranks`` by loads and stores; collective over the members."""

    def transport(self) -> str:
        """The transports of kernels from this rank to the other members; "" where there is only one kind."""

    def close(self) -> None:
        """Free the memory once all ranks are done with it; collective over the launch."""


def open_communicator(world: World, device: Device, first_epoch: int = FIRST_EPOCH) -> Communicator:
    """The communicator shared by all kernels on ``world``; collective over the launch. Where this call creates it, its
    first call has the epoch ``first_epoch``."""
    return world.once(f"communicator of the kernels ({device.kind})", lambda: _create(world, device, first_epoch))


def _create(world: World, device: Device, first_epoch: int) -> Communicator:
    if device.kind == "gpu":
        from collbench.kernels.gpu_communicator import GpuCommunicator

        return GpuCommunicator(world, cast("Gpu", device), first_epoch)
    from collbench.kernels.cpu_communicator import CpuCommunicator

    return CpuCommunicator(world, first_epoch)


def open_near_wrap(world: World, device: Device) -> None:
    """Create the communicator of ``world`` with an epoch that is about to wrap."""
    open_communicator(world, device, LAST_EPOCHS)


def open_session(kernel: Kernel, world: World, device: Device, arena_bytes: int) -> KernelSession:
    """``kernel`` on the communicator shared by all kernels on ``world``; collective over the launch."""
    return KernelSession(kernel, world, device.arena(arena_bytes), open_communicator(world, device))


@dataclass(frozen=True)
class KernelSession:
    """A kernel open on one world; implements ``Session``."""

    kernel: Kernel
    world: World
    arena: Array
    comm: Communicator

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        """A call of one launch, or of several where the message exceeds the scratch."""
        kernel, comm = self.kernel, self.comm
        step = kernel.elements_at_once(problem, comm.layout)
        if reason := comm.refuses(kernel):
            raise CannotRunError(reason)
        if not step:
            raise CannotRunError(f"{kernel.file.name}: the scratch is too small for {problem.layout.size} ranks")
        function, shape = self._function(problem, {})
        launches = [comm.launch(function, each, shape) for each in slices(problem, send, recv, step)]
        return KernelCall(
            launches,
            {plain(name): str(number) for name, number in shape.items()},
            kernel.wire_bytes(problem),
            partial(self._marked, problem, send, recv) if len(launches) == 1 and kernel.file.phases else None,
        )

    def _function(self, problem: Problem, more: Options) -> tuple[Any, Shape]:
        """The kernel, compiled for ``problem`` and loaded, and its launch shape."""
        shape = self.comm.shape(self.kernel, problem)
        function = self.comm.function(
            self.kernel.file, {**self.kernel.defines(problem, shape, self.comm.layout), **more}
        )
        return function, self.comm.fitted(self.kernel, function, shape)

    def _marked(self, problem: Problem, send: Array, recv: Array) -> Marked:
        """The same launch, compiled to record the time at the end of every phase."""
        function, shape = self._function(problem, {"COLL_MARKS": MARKS})
        marks = self.comm.marks(shape["blocks"])
        (whole,) = slices(problem, send, recv, problem.count)
        launch = self.comm.launch(function, whole, shape, marks.address)
        return Marked(launch, marks, phase_names(self.kernel.file.phases, problem.layout.node_count))

    def transport(self) -> str:
        """The transports of kernels from this rank to the other members."""
        return self.comm.transport()

    def release(self) -> None:
        """Does nothing: calls hold no resources."""

    def close(self) -> None:
        """Does nothing: the world closes the communicator."""
