"""Our kernels compile without a GPU: for every type, for layouts of every kind, with what a session defines."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import GpuSide
from samples import a_layout, a_workload
from test_kernel_files import source, write

from collbench import backends, kernel_backend
from collbench.cubin import Resources, resources, uses_nvshmem
from collbench.kernel_backend import KernelBackend
from collbench.kernel_files import read
from collbench.kernels import KernelError, build, missing
from collbench.layout import Layout
from collbench.plan import Workload

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

ONE, MANY = a_layout(8), a_layout(8, nodes=2)
LAYOUTS = (a_layout(2), ONE, MANY, a_layout(6, nodes=3), a_layout(8, nodes=8))
KERNELS = tuple(kernel_backend.own_names())
MOST_LOCAL = 64  # bytes of a thread: more is an array that the compiler did not keep in registers


def kernel(name: str) -> KernelBackend:
    """One of ours."""
    found = backends.find(name)
    assert isinstance(found, KernelBackend), found
    return found


def compiled(gpu_side: GpuSide, name: str, work: Workload, **more: int) -> bytes:
    """The cubin that a session would load for ``work`` with the largest blocks, which have the fewest registers."""
    session: Any = gpu_side.session.Session(kernel(name), None, None, None, None)
    shape = {**kernel(name).shape(work), "threads": max(kernel(name).file.threads)}
    return build(kernel(name).file, {**session._defines(work, shape), **more}, "sm_90")


def needs(gpu_side: GpuSide, name: str, work: Workload, **more: int) -> Resources:
    """What it takes."""
    return resources(compiled(gpu_side, name, work, **more))


@pytest.mark.parametrize(("name", "dtype"), [(name, dtype) for name in KERNELS for dtype in kernel(name).file.dtypes])
def test_a_kernel_compiles_for_every_layout(gpu_side: GpuSide, name: str, dtype: str) -> None:
    works = [a_workload(dtype=dtype, layout=layout) for layout in LAYOUTS]
    with ThreadPoolExecutor(2) as two:
        found = list(two.map(partial(needs, gpu_side, name), works))
    assert {each.entry for each in found} == {name.replace("-", "_")}
    assert max(each.local_bytes for each in found) < MOST_LOCAL


@pytest.mark.parametrize("name", KERNELS)
def test_so_do_other_operations_and_the_form_that_times_phases(gpu_side: GpuSide, name: str) -> None:
    marks = {"COLL_PHASES": 1, "COLL_MARKS": gpu_side.symmetric.MARKS}
    least = a_workload(dtype="float16", layout=MANY, op="min")
    timed, plain = (compiled(gpu_side, name, least, **more) for more in (marks, {}))
    assert max(resources(cubin).local_bytes for cubin in (timed, plain)) < MOST_LOCAL
    assert timed != plain


@pytest.mark.parametrize("name", KERNELS)
def test_every_value_of_its_parameters_compiles(gpu_side: GpuSide, name: str) -> None:
    for define, values in kernel(name).file.defines.items():
        for number in values[1:]:
            assert needs(gpu_side, name, a_workload(layout=MANY), **{define: number}).local_bytes < MOST_LOCAL


def test_nvshmem_is_told_of_kernels_that_put_and_of_no_other(gpu_side: GpuSide) -> None:
    for name in KERNELS:
        puts = "COLL_USES_PUT 1" in kernel(name).file.path.read_text()
        assert uses_nvshmem(compiled(gpu_side, name, a_workload(layout=MANY))) == puts
        assert puts == (kernel(name).file.nodes == "any"), "where loads and stores do not reach, only puts do"


# ---- The twins ----


def equal(what: str, number: int) -> str:
    """An assertion in C."""
    return f'static_assert({what} == {number}, "{what}");'


def layout_of(kind: type[ctypes.Structure], name: str) -> list[str]:
    """Assertions in C that the structure ``name`` is ``kind``."""
    facts = [(f"sizeof({name})", ctypes.sizeof(kind))]
    for field, *_ in kind._fields_:
        there, here = field.rstrip("_"), getattr(kind, field)  # "in" is a word of Python's
        facts += [(f"__builtin_offsetof({name}, {there})", here.offset), (f"sizeof({name}::{there})", here.size)]
    return [equal(*fact) for fact in facts]


def checked(gpu_side: GpuSide, folder: Path, layout: Layout, assertions: list[str]) -> bytes:
    """Compile these assertions as a kernel for ``layout``."""
    body = ['#include "collbench.cuh"', *assertions, "KERNEL(a) { *a.out = 0; }", ""]
    file = read(write(folder, "twins.cu", source() + "\n".join(body)))
    session: Any = gpu_side.session.Session(KernelBackend(file, {}), None, None, None, None)
    work = a_workload(layout=layout)
    return build(file, session._defines(work, session.backend.shape(work)), "sm_90")


@pytest.mark.parametrize("layout", [a_layout(3), MANY], ids=str)
def test_structures_are_the_same_on_both_sides(gpu_side: GpuSide, tmp_path: Path, layout: Layout) -> None:
    symmetric = gpu_side.symmetric
    twins = {"Args": symmetric.args_type(layout.size), "Stuck": symmetric.Stuck}
    assertions = [line for name, kind in twins.items() for line in layout_of(kind, name)]
    constants = {"TICKS": symmetric.TICKS, "FLAGGED_AT": symmetric.GATES, "HALF": symmetric.FLAGGED_HALF}
    assertions += [equal(name, number) for name, number in constants.items()]
    assert checked(gpu_side, tmp_path, layout, assertions)


def test_a_difference_would_be_told(gpu_side: GpuSide, tmp_path: Path) -> None:
    wrong = type("Args", (ctypes.Structure,), {"_fields_": [("in_", ctypes.c_uint64), ("count", ctypes.c_uint64)]})
    with pytest.raises(KernelError, match=r"sizeof\(Args\)"):
        checked(gpu_side, tmp_path, ONE, layout_of(wrong, "Args"))
