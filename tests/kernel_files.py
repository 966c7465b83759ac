"""Kernels for tests: files with a header whose fields a test changes, small ones that compile, and our own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from collbench import registry
from collbench.backends._kernels import KernelBackend
from collbench.kernels.files import own_folder
from collbench.kernels.header import KernelFile, read
from collbench.kernels.kernel import Kernel

OURS = tuple(sorted(path.stem.replace("_", "-") for path in own_folder().glob("[!._]*.cu")))
compiles = pytest.mark.skipif(sys.platform != "linux", reason="CUDA's compiler comes as wheels for Linux")

FIELDS = {
    "summary": '"one hop"',
    "collective": '"all_reduce"',
    "dtypes": '["float32", "bfloat16"]',
    "ops": '["sum", "max"]',
    "order": '"flat"',
    "nodes": '"one"',
    "wire": '"(P-1)*S"',
    "scratch": '"P*S"',
    "cell": '"ll"',
    "blocks": "[8, 16]",
    "threads": "[256]",
}


def source(**changes: str | None) -> str:
    """A kernel file; None leaves a field out."""
    lines = [f"{name} = {text}" for name, text in {**FIELDS, **changes}.items() if text is not None]
    return "\n".join(["/* collbench", *lines, "*/", "// the rest", ""])


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def a_kernel(folder: Path, **changes: str | None) -> Kernel:
    """The kernel ``hop`` with a header of its own."""
    return Kernel(read(write(folder, "hop.cu", source(**changes))))


def ours(spec: str) -> Kernel:
    """A kernel that comes with collbench."""
    found = registry.find(spec)
    assert isinstance(found, KernelBackend), found
    return found.kernel


OF_ALL_REDUCE = tuple(name for name in OURS if ours(name).file.collective == "all_reduce")
HEADER = """/* collbench
summary = "for a test"
collective = "all_reduce"
dtypes = ["float32"]
ops = ["sum"]
nodes = "one"
wire = "S"
scratch = "S"
cell = "ll"
blocks = [1]
threads = [32]
*/
"""
PLAIN = """#include "common.cuh"
extern "C" __global__ void COLL_NAME(float* a, int n) {
  __shared__ float s[8];
  s[threadIdx.x & 7] = a[n];
  __syncthreads();
  a[0] = s[n & 7] * FACTOR;
}
"""


def compilable(folder: Path, body: str, stem: str = "one_hop") -> KernelFile:
    """A kernel file with ``HEADER`` and ``body``, beside a ``common.cuh`` that defines FACTOR."""
    (folder / "common.cuh").write_text("#ifndef FACTOR\n#define FACTOR 2\n#endif\n")
    return read(write(folder, f"{stem}.cu", HEADER + body))
