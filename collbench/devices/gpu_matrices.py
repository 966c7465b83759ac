"""Matrix products on a GPU by cuBLAS, called directly: cupy refuses its calls while a stream is captured."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import cupy
import numpy as np
from cuda.pathfinder import load_nvidia_dynamic_lib

from collbench.devices.device import Array, Call
from collbench.plan.dtypes import Dtype

SONAME = "libcublas.so.13"
TABLE = 1 << 20
WORKSPACE_BYTES = 64 << 20  # with one of its own cuBLAS allocates nothing, also while a stream is captured
TRANSPOSED, PLAIN = 1, 0  # cublasOperation_t
TYPES = {"float32": 0, "float16": 2, "bfloat16": 14, "float64": 1}  # cudaDataType_t
COMPUTE = {"float64": 70}  # cublasComputeType_t
COMPUTE_32F, DEFAULT_ALGORITHM = 68, -1


THREADS, MOST_BLOCKS = 256, 256
# What is read goes into a sum, and that to memory in one case of 2^32, so that no compiler leaves the loads out.
TOUCH = r"""
extern "C" __global__ void touch(const uint4* from, unsigned long long count, unsigned* sum) {
  unsigned mine = 0;
  for (unsigned long long i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    uint4 cell = from[i];
    mine += cell.x ^ cell.y ^ cell.z ^ cell.w;
  }
  if (mine == 0x9e3779b9u) *sum = mine;
}
"""


def _checked(name: str, function: Callable[..., int], *arguments: Any) -> None:
    if status := function(*arguments):
        raise RuntimeError(f"cuBLAS: {name} returned status {status}")


class GpuMatrices:
    """Implements ``Matrices`` on the current GPU and one stream, for one floating-point type."""

    def __init__(self, dtype: Dtype, stream: int) -> None:
        self._dtype = dtype
        self._library = ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path or SONAME)
        self._handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._call("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
        self._workspace = cupy.empty(WORKSPACE_BYTES, cupy.uint8)
        address = ctypes.c_void_p(self._workspace.data.ptr)
        self._call("cublasSetWorkspace_v2", self._handle, address, ctypes.c_size_t(WORKSPACE_BYTES))
        wide = np.float64 if dtype.name == "float64" else np.float32
        self._touch, self._sum = cupy.RawKernel(TOUCH, "touch"), cupy.empty(1, cupy.uint32)
        self._factors = np.array([1, 0], wide)
        self._normal = np.random.default_rng(2513).standard_normal(TABLE)

    def _call(self, name: str, *arguments: Any) -> None:
        _checked(name, getattr(self._library, name), *arguments)

    def filled(self, rows: int, columns: int) -> Array:
        values = (self._normal * columns**-0.5).astype(self._dtype.numpy).view(f"u{self._dtype.itemsize}")
        table, whole = cupy.asarray(values), self.empty(rows, columns)
        flat = whole.reshape(-1)
        for start in range(0, flat.size, TABLE):
            flat[start : start + TABLE] = table[: flat.size - start]
        return whole

    def empty(self, rows: int, columns: int) -> Array:
        return cupy.empty((rows, columns), f"u{self._dtype.itemsize}")

    def touched(self, array: Array) -> Call:
        count = array.nbytes // 16
        blocks = max(1, min(MOST_BLOCKS, -(-count // THREADS)))
        return partial(self._touch, (blocks,), (THREADS,), (np.uint64(array.data.ptr), np.uint64(count), self._sum))

    def product(self, rows: Array, weight: Array, into: Array) -> Call:
        # cuBLAS counts by columns: it computes the transpose of the result, weight (n, k) times rows (t, k) transposed.
        (t, k), n, kind = rows.shape, weight.shape[0], TYPES[self._dtype.name]
        one, none = (ctypes.c_void_p(self._factors[index:].ctypes.data) for index in (0, 1))
        source, factor, target = (ctypes.c_void_p(array.data.ptr) for array in (rows, weight, into))
        compute = COMPUTE.get(self._dtype.name, COMPUTE_32F)
        return partial(
            _checked, "cublasGemmEx", self._library.cublasGemmEx, self._handle, TRANSPOSED, PLAIN, n, t, k, one,
            factor, kind, k, source, kind, k, none, target, kind, n, compute, DEFAULT_ALGORITHM,
        )  # fmt: skip
