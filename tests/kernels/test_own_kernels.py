"""Our kernels compile and link without a GPU, and spill nothing, for three generations of GPUs.

What is compiled, and what a session ends with a table of:

- every kernel for every type it declares, on 2 nodes of 4 ranks, for sm_80, sm_90 and sm_100;
- every launch shape that its header lists, where it is hardest: 8 ranks on a node;
- layouts where other code is compiled (2 ranks, a number of nodes that is no power of two, nodes of one rank) with the
  other operations, and the form that times phases, for sm_90.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from compiled import note_compiled
from kernel_files import OF_ALL_REDUCE, compiles, source, write
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends import _kernels
from collbench.backends._kernels import KernelBackend
from collbench.kernels import abi, nvrtc
from collbench.kernels.abi import ON_GPU
from collbench.kernels.cubin import Resources, resources, uses_nvshmem
from collbench.kernels.header import KernelFile, read
from collbench.kernels.kernel import Kernel, plain
from collbench.plan.layout import Layout

pytestmark = compiles

ARCHS = ("sm_80", "sm_90", "sm_100")
PUTS = "nvrar-put"  # takes six times as long as the others, for NVSHMEM's headers
TWO_NODES, ONE_NODE = a_layout(8, nodes=2), a_layout(8)
KERNELS = tuple(_kernels.own_names())
OF_ROWS = tuple(name for name in KERNELS if name not in OF_ALL_REDUCE)
MARKS = {"COLL_MARKS": abi.MARKS}


@dataclass(frozen=True)
class Variant:
    """What a kernel is compiled for; ``shape``: its launch, where that is not the default with the largest blocks."""

    name: str
    dtype: str
    arch: str
    layout: Layout = TWO_NODES
    op: str = "sum"
    shape: tuple[tuple[str, int], ...] = ()
    marked: bool = False
    hidden: int = 4096  # elements of a row, where the kernel normalises rows

    @property
    def backend(self) -> Kernel:
        """The kernel with this launch shape. Of all blocks the largest have the fewest registers."""
        found = kernel(self.name)
        return Kernel(found.file, {"threads": max(found.file.threads), **dict(self.shape)})

    def words(self) -> str:
        """What is not the default about it."""
        shape = [f"{plain(name)}={number}" for name, number in self.shape]
        rows = [f"rows of {self.hidden}"] if self.name in OF_ROWS else []
        return " ".join([*shape, *rows, *([self.op] if self.op != "sum" else []), *(["phases"] if self.marked else [])])


def kernel(name: str) -> Kernel:
    """One of ours."""
    found = registry.find(name)
    assert isinstance(found, KernelBackend), found
    return found.kernel


@functools.cache
def tools() -> nvrtc.Toolchain:
    """What is installed, looked for once."""
    return nvrtc.toolchain()


@functools.cache
def compiled(variant: Variant) -> bytes:
    """The cubin that a session would load; compiled in this process, since one for each would take twice as long."""
    backend = variant.backend
    kind, hidden = backend.file.collective, variant.hidden if variant.name in OF_ROWS else 0
    problem = a_problem(kind, variant.dtype, layout=variant.layout, op=variant.op, hidden=hidden, size=1 << 20)
    options = backend.defines(problem, backend.shape(problem), ON_GPU)
    job = nvrtc._job(backend.file, {**options, **(MARKS if variant.marked else {})}, variant.arch, tools())
    cubin: bytes = nvrtc._compile_and_link(job)
    row = (variant.name, variant.dtype, str(variant.layout), variant.words())
    note_compiled(row, variant.arch, resources(cubin))
    return cubin


def spilling(variants: Iterable[Variant]) -> dict[Variant, Resources]:
    """Those that keep anything of a thread in memory: spilled registers, or an array that is indexed at run time."""
    found = {each: resources(compiled(each)) for each in variants}
    assert {needs.entry for needs in found.values()} == {each.name.replace("-", "_") for each in found}
    return {each: needs for each, needs in found.items() if needs.local_bytes}


def everywhere(name: str) -> list[Variant]:
    """A kernel for all types and architectures."""
    return [Variant(name, dtype, arch) for dtype, arch in product(kernel(name).file.dtypes, ARCHS)]


def shapes(file: KernelFile) -> list[tuple[tuple[str, int], ...]]:
    """Every combination of threads and defines that a header lists."""
    values = product(file.threads, *file.defines.values())
    return [tuple(zip(("threads", *file.defines), each, strict=True)) for each in values]


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_compiles_for_every_type_and_architecture(name: str) -> None:
    assert spilling(everywhere(name)) == {}


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_no_launch_shape_spills_with_eight_ranks_on_a_node(name: str) -> None:
    file = kernel(name).file
    cases = [("float32", arch) for arch in (ARCHS if name != PUTS else ["sm_90"])]
    if file.cell == "lamport":
        cases += [("int32", "sm_80"), ("float64", "sm_90")]  # their cells may escape
    found = spilling(Variant(name, *case, ONE_NODE, shape=shape) for case in cases for shape in shapes(file))
    assert found == {}


@pytest.mark.parametrize("name", OF_ROWS)
def test_rows_of_any_length_spill_nothing(name: str) -> None:
    shapes = [(4096, 128), (4096, 256), (4096, 512), (7168, 256), (7168, 512), (16384, 512), (2880, 512)]
    each = [
        Variant(name, "bfloat16", "sm_90", ONE_NODE, shape=(("threads", n),), hidden=hidden) for hidden, n in shapes
    ]
    others = [
        Variant(name, "float16", "sm_90", a_layout(2)),
        Variant(name, "float16", "sm_90", a_layout(6, nodes=3), marked=True),
    ]
    assert spilling([*each, *others]) == {}


def test_oneshot_spills_nothing_in_a_large_nvlink_domain() -> None:
    file = kernel("oneshot").file
    domain = product(("bfloat16", "int32", "float64"), file.threads)
    each = (Variant("oneshot", dtype, "sm_100", a_layout(72), shape=(("threads", n),)) for dtype, n in domain)
    assert spilling(each) == {}


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_other_layouts_operations_and_the_form_that_times_phases(name: str) -> None:
    marked, plain = (Variant(name, "int32", "sm_90", marked=marked) for marked in (True, False))
    others = [
        Variant(name, "float16", "sm_90", a_layout(6, nodes=3), "min"),
        Variant(name, "float32", "sm_90", a_layout(8, nodes=8)),
        *([Variant(name, "bfloat16", "sm_90", a_layout(2), "max")] if name != PUTS else []),
    ]
    assert spilling([marked, *others]) == {}
    assert compiled(marked) != compiled(plain)


@pytest.mark.parametrize("name", KERNELS)
def test_nvshmem_registers_kernels_that_put_and_no_others(name: str) -> None:
    puts = "COLL_USES_PUT 1" in kernel(name).file.path.read_text()
    assert {uses_nvshmem(compiled(each)) for each in everywhere(name)} == {puts}
    assert puts == (kernel(name).file.nodes == "any"), "where loads and stores do not reach, only puts do"


def a_file(folder: Path, *lines: str) -> KernelFile:
    """A kernel of these lines."""
    return read(write(folder, "lines.cu", "\n".join([source(), *lines, ""])))


def test_a_spill_is_reported(tmp_path: Path) -> None:
    body = """extern "C" __global__ void __launch_bounds__(512) COLL_NAME(volatile float* a) {
      float x[HELD];
      #pragma unroll
      for (int i = 0; i < HELD; i++) x[i] = a[i];
      #pragma unroll
      for (int i = 0; i < HELD; i++) a[i] = x[i];
    }"""
    few, many = (resources(nvrtc.build(a_file(tmp_path, body), {"HELD": held}, "sm_90")) for held in (60, 160))
    assert few.local_bytes == 0
    assert many.local_bytes > 0
