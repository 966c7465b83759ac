"""Wrappers of the CUDA driver and runtime: checked results, graphs, kernel names."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from cuda.bindings import driver
from cuda.bindings import runtime as cudart

from collbench.devices.device import Call


def check(result: Any) -> Any:
    """The values that a CUDA call returned; raises RuntimeError with the name of its error."""
    error, *values = result
    if int(error) != 0:
        raise RuntimeError(f"CUDA: {error.name}")
    return values[0] if len(values) == 1 else tuple(values)


class Graph:
    """A CUDA graph of calls in stream order; raises RuntimeError where a call cannot be captured."""

    def __init__(self, stream: int, calls: Sequence[Call]) -> None:
        self._stream = stream
        check(cudart.cudaStreamBeginCapture(stream, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
        try:
            for call in calls:
                call()
        finally:
            error, self._graph = cudart.cudaStreamEndCapture(stream)
        check((error,))
        self._exec: Any = None
        if self._count() < len(calls):
            self.close()
            raise RuntimeError(f"the CUDA graph has fewer nodes than its {len(calls)} calls: some were not captured")

    def _count(self) -> int:
        return int(check(cudart.cudaGraphGetNodes(self._graph, 0))[1])

    def ready(self) -> None:
        """Instantiate the graph and upload it to the device."""
        self._exec = check(cudart.cudaGraphInstantiate(self._graph, 0))
        check(cudart.cudaGraphUpload(self._exec, self._stream))

    def launch(self) -> None:
        """Enqueue one replay."""
        check(cudart.cudaGraphLaunch(self._exec, self._stream))

    def kernels(self) -> tuple[str, ...]:
        """Names of the kernels in the graph, without duplicates."""
        nodes = check(driver.cuGraphGetNodes(int(self._graph), self._count()))[0]
        kernel = driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_KERNEL
        names = [_kernel_name(node) for node in nodes if check(driver.cuGraphNodeGetType(node)) == kernel]
        return tuple(dict.fromkeys(names))

    def close(self) -> None:
        """Destroy the graph."""
        if self._exec is not None:
            check(cudart.cudaGraphExecDestroy(self._exec))
        check(cudart.cudaGraphDestroy(self._graph))


def _kernel_name(node: Any) -> str:
    what = check(driver.cuGraphKernelNodeGetParams(node))
    name: bytes = check(driver.cuFuncGetName(what.func) if int(what.func) else driver.cuKernelGetName(what.kern))
    return plain_name(name.decode())


def plain_name(symbol: str) -> str:
    """The demangled name of a C++ function, without its parameters."""
    demangle = ctypes.CDLL("libstdc++.so.6").__cxa_demangle
    demangle.restype = ctypes.c_void_p
    demangle.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    text = demangle(symbol.encode(), None, None, ctypes.byref(ctypes.c_int()))
    if not text:
        return symbol
    try:
        return ctypes.string_at(text).decode().split("(")[0].removeprefix("void ")
    finally:
        ctypes.CDLL(None).free(ctypes.c_void_p(text))
