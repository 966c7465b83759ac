"""Launches of the norm kernel on GPUs whose all-reduce is a library's: without NVSHMEM, and without overlap."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from collbench.errors import CannotRunError
from collbench.kernels import nvrtc
from collbench.kernels.abi import ON_GPU, args_of
from collbench.kernels.gpu_launch import GpuLaunch, address_of
from collbench.kernels.loader import Loader, Options

if TYPE_CHECKING:
    from collbench.devices.gpu import Gpu
    from collbench.kernels.header import KernelFile
    from collbench.kernels.kernel import Kernel, Shape
    from collbench.kernels.slices import Slice
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World


class GpuNorm:
    """The norm kernel, loaded once on a world; implements ``Launcher``.

    An ordinary launch follows the library's kernel, as in engines: programmatic launches behind kernels that do not
    expect them, inside graphs that a library also changes, are not relied on.
    """

    layout = ON_GPU

    def __init__(self, world: World, device: Gpu) -> None:
        self._world, self._device = world, device
        self._libraries: list[Any] = []
        self.function: Loader[Any] = Loader(world, self._compiled, self._load)

    def shape(self, kernel: Kernel, problem: Problem) -> dict[str, int]:
        """The launch shape that the kernel chooses, without overlap."""
        return {**kernel.shape(problem), "pdl": 0}

    def fitted(self, kernel: Kernel, function: Any, shape: Shape) -> Shape:
        """``shape`` unchanged: no block waits for another, so any grid runs."""
        return shape

    def launch(self, function: Any, what: Slice, shape: Shape, marks: int = 0) -> GpuLaunch:
        """A launch on the device's stream; of its argument only the buffers are used."""
        places = self._world.layout.places
        none = [0] * len(places)
        argument = args_of(
            places, self._world.rank, none, none, state=0, stuck=0, marks=marks, **what.fields(address_of)
        )
        return GpuLaunch(function, argument, shape, self._device.stream.ptr)

    def _compiled(self, file: KernelFile, options: Options) -> bytes:
        """The cubin, which rank 0 compiles or reads from its cache and broadcasts."""
        if reason := self._world.first_words(nvrtc.missing()):
            raise CannotRunError(reason)
        with self._world.patience(2 * nvrtc.COMPILE_SECONDS):
            return self._world.led(partial(nvrtc.load_or_build, file, options, self._device.arch))

    def _load(self, cubin: bytes, symbol: str) -> Any:
        from cuda.bindings import driver

        from collbench.devices.cuda import check

        library = check(driver.cuLibraryLoadData(cubin, [], [], 0, [], [], 0))
        self._libraries.append(library)
        return check(driver.cuKernelGetFunction(check(driver.cuLibraryGetKernel(library, symbol.encode()))))

    def close(self) -> None:
        """Unload the kernels, once this rank's calls are complete."""
        from cuda.bindings import driver

        from collbench.devices.cuda import check

        self._device.settle()
        for library in self._libraries:
            check(driver.cuLibraryUnload(library))
