"""A launch of a kernel on a stream of a GPU."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collbench.devices.device import Array
    from collbench.kernels.kernel import Shape


def address_of(array: Array) -> int:
    """The address of an array in device memory."""
    return int(array.data.ptr)


class GpuLaunch:
    """A kernel with its only argument, a structure by value, and its launch shape on one stream.

    With ``pdl`` its blocks may launch early, while the previous kernel still runs (programmatic dependent launch); they
    wait for its end before they access memory.
    """

    def __init__(self, function: Any, argument: ctypes.Structure, shape: Shape, stream: int) -> None:
        from cuda.bindings import driver

        self._function, self._argument = function, argument
        self._pointers = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        config = driver.CUlaunchConfig()
        config.gridDimX, config.gridDimY, config.gridDimZ = shape["blocks"], 1, 1
        config.blockDimX, config.blockDimY, config.blockDimZ = shape["threads"], 1, 1
        config.hStream = stream
        if shape["pdl"]:
            overlap = driver.CUlaunchAttribute()
            overlap.id = driver.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
            overlap.value.programmaticStreamSerializationAllowed = 1
            config.attrs, config.numAttrs = [overlap], 1
        self._config, self._launch = config, driver.cuLaunchKernelEx

    def __call__(self) -> None:
        (error,) = self._launch(self._config, self._function, ctypes.addressof(self._pointers), 0)
        if int(error):
            raise RuntimeError(f"CUDA: {error.name}")
