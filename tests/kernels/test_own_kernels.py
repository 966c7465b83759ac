"""Our kernels compile and link without a GPU, and spill nothing, for three generations of GPUs.

What is compiled, and what a session ends with a table of:

- every kernel for every type that it declares, on 2 nodes of 4 ranks, for sm_90, and for two for sm_80 and sm_100;
  those that put (test_own_puts.py) for fewer;
- every launch shape that its header lists, where it is hardest: 8 ranks on a node; those with the most threads, whose
  registers are the fewest, for all three;
- layouts where other code is compiled (2 ranks, a number of nodes that is no power of two, nodes of one rank) with the
  other operations, and the form that times phases, for sm_90.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from kernel_files import OF_ALL_REDUCE, compiles, source, write
from own_kernels import ARCHS, KERNELS, OF_ROWS, ONE_NODE, PUTS, Variant, compiled, everywhere, kernel, shapes, spilling
from samples import a_layout

from collbench.kernels import nvrtc
from collbench.kernels.cubin import resources, uses_nvshmem
from collbench.kernels.header import KernelFile, read

pytestmark = compiles

LOADS = tuple(name for name in KERNELS if name not in PUTS)


@pytest.mark.parametrize("name", LOADS)
def test_a_kernel_compiles_for_every_type_and_architecture(name: str) -> None:
    assert spilling(everywhere(name)) == {}


@pytest.mark.parametrize("name", [name for name in OF_ALL_REDUCE if name not in PUTS])
def test_no_launch_shape_spills_with_eight_ranks_on_a_node(name: str) -> None:
    file = kernel(name).file
    cases = [("float32", arch) for arch in ARCHS]
    if file.cell == "lamport":
        cases += [("int32", "sm_80"), ("float64", "sm_90")]  # their cells may escape
    largest = [shape for shape in shapes(file) if dict(shape)["threads"] == max(file.threads)]
    each = [(*case, shape) for case in cases for shape in largest]  # where a thread has the fewest registers
    each += [("float32", "sm_90", shape) for shape in shapes(file) if shape not in largest]
    found = spilling(Variant(name, dtype, arch, ONE_NODE, shape=shape) for dtype, arch, shape in each)
    assert found == {}


@pytest.mark.parametrize("name", OF_ROWS)
def test_rows_of_any_length_spill_nothing(name: str) -> None:
    shapes = [(4096, 128), (4096, 512), (7168, 256), (16384, 512)]
    each = [
        Variant(name, "bfloat16", "sm_90", ONE_NODE, shape=(("threads", n),), hidden=hidden) for hidden, n in shapes
    ]
    if name == "oneshot-norm":
        each.append(Variant(name, "bfloat16", "sm_90", ONE_NODE, shape=(("threads", 512), ("COLL_KEEP", 0))))
    others = [
        Variant(name, "float16", "sm_90", a_layout(2)),
        Variant(name, "float16", "sm_90", a_layout(6, nodes=3), marked=True),
    ]
    assert spilling([*each, *others]) == {}


def test_oneshot_spills_nothing_in_a_large_nvlink_domain() -> None:
    file = kernel("oneshot").file
    domain = [*product(("bfloat16",), file.threads), ("int32", max(file.threads))]
    each = (Variant("oneshot", dtype, "sm_100", a_layout(72), shape=(("threads", n),)) for dtype, n in domain)
    assert spilling(each) == {}


@pytest.mark.parametrize("name", ["oneshot-reduce-scatter", "oneshot-all-gather"])
def test_parts_of_any_bits_spill_nothing_with_eight_ranks_on_a_node(name: str) -> None:
    file = kernel(name).file
    most = [each for each in shapes(file) if dict(each)["threads"] == max(file.threads)]
    assert spilling(Variant(name, "int64", "sm_90", ONE_NODE, shape=shape) for shape in most) == {}


@pytest.mark.parametrize("name", [name for name in OF_ALL_REDUCE if name not in PUTS])
def test_other_layouts_operations_and_the_form_that_times_phases(name: str) -> None:
    marked, plain = (Variant(name, "int32", "sm_90", marked=marked) for marked in (True, False))
    others = [
        Variant(name, "float16", "sm_90", a_layout(6, nodes=3), "min"),
        Variant(name, "float32", "sm_90", a_layout(8, nodes=8)),
        Variant(name, "bfloat16", "sm_90", a_layout(2), "max"),
    ]
    assert spilling([marked, *others]) == {}
    assert compiled(marked) != compiled(plain)


@pytest.mark.parametrize("name", LOADS)
def test_nvshmem_registers_no_kernel_that_loads_and_stores(name: str) -> None:
    assert "COLL_USES_PUT 1" not in kernel(name).file.path.read_text()
    assert not any(uses_nvshmem(compiled(each)) for each in everywhere(name))


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
