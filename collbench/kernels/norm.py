"""The kernel that adds a residual and normalises rows which are reduced already: what follows an unfused all-reduce."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from collbench.kernels import rows
from collbench.kernels.calls import KernelCall
from collbench.kernels.files import own_folder
from collbench.kernels.header import KernelFile, read
from collbench.kernels.kernel import Kernel, Shape
from collbench.kernels.slices import Slice, slices

if TYPE_CHECKING:
    from collections.abc import Callable

    from collbench.devices.device import Array, Call
    from collbench.kernels.abi import Scratch
    from collbench.kernels.loader import Options
    from collbench.plan.problem import Problem

PATH = "unfused/rms_norm.cu"  # in a folder of its own: it is no collective, and no backend
MOST_BYTES = 1 << 31  # of a launch: kernels count a buffer's bytes in 32 bits


class Launcher(Protocol):
    """The part of a ``Communicator`` that a kernel needs which no other rank takes part in."""

    @property
    def layout(self) -> Scratch:
        """The layout of the symmetric memory, which it does not use."""

    @property
    def function(self) -> Callable[[KernelFile, Options], Any]:
        """Compiles and loads a kernel; collective over the members."""

    def shape(self, kernel: Kernel, problem: Problem) -> dict[str, int]:
        """Parameters of a launch, chosen before the kernel is compiled."""

    def fitted(self, kernel: Kernel, function: Any, shape: Shape) -> Shape:
        """``shape`` as this device can run it."""

    def launch(self, function: Any, what: Slice, shape: Shape, marks: int = 0) -> Call:
        """A launch on a slice of a message."""


def norm_kernel() -> Kernel:
    """The kernel; raises UsageError where its file cannot be read."""
    return Kernel(read(own_folder() / PATH))


def prepare_norm(launcher: Launcher, problem: Problem, send: Array, recv: Array) -> Call:
    """A call that takes the reduced message from where the normalised rows then are, at the start of ``recv``, with the
    weight in ``send`` and the residual in ``recv``: one launch, or several of ``MOST_BYTES``. Collective over the
    members."""
    kernel = norm_kernel()
    shape = launcher.shape(kernel, problem)
    function = launcher.function(kernel.file, kernel.defines(problem, shape, launcher.layout))
    fitted = launcher.fitted(kernel, function, shape)
    some = slices(problem, send, recv, rows.whole(MOST_BYTES // problem.dtype.itemsize, problem))
    launches = [launcher.launch(function, replace(each, send=each.recv), fitted) for each in some]
    return launches[0] if len(launches) == 1 else KernelCall(launches, {}, None, None)
