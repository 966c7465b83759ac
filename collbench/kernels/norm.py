"""The kernel that adds a residual and normalises rows which are reduced already: what follows an unfused all-reduce."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

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
    """A launch that takes the reduced message from where the normalised rows then are, at the start of ``recv``, with
    the weight in ``send`` and the residual in ``recv``. Collective over the members."""
    kernel = norm_kernel()
    shape = launcher.shape(kernel, problem)
    function = launcher.function(kernel.file, kernel.defines(problem, shape, launcher.layout))
    fitted = launcher.fitted(kernel, function, shape)
    (whole,) = slices(problem, send, recv, problem.count)
    return launcher.launch(function, replace(whole, send=recv), fitted)
