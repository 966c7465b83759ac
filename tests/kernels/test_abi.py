"""Structures and constants of the host are those that kernels are compiled with."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from kernel_files import compiles, source, write
from samples import a_layout, a_problem

from collbench.kernels import abi
from collbench.kernels.abi import ON_GPU, Stuck, args_type
from collbench.kernels.header import KernelFile, read
from collbench.kernels.kernel import Kernel
from collbench.kernels.nvrtc import build
from collbench.kernels.sources import KernelError
from collbench.plan.layout import Layout

pytestmark = compiles
TWO_NODES, ONE_NODE = a_layout(8, nodes=2), a_layout(8)


def a_file(folder: Path, *lines: str) -> KernelFile:
    """A kernel of these lines."""
    return read(write(folder, "lines.cu", "\n".join([source(), *lines, ""])))


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


def checked(folder: Path, layout: Layout, assertions: Sequence[str]) -> bytes:
    """Compile these assertions as a kernel for ``layout``."""
    file = a_file(folder, '#include "collbench.cuh"', *assertions, "KERNEL(a) { *a.out = 0; }")
    backend, problem = Kernel(file), a_problem(layout=layout)
    return build(file, backend.defines(problem, backend.shape(problem), ON_GPU), "sm_90")


@pytest.mark.parametrize("layout", [a_layout(3), TWO_NODES], ids=str)
def test_structures_are_the_same_on_both_sides(tmp_path: Path, layout: Layout) -> None:
    twins: dict[str, type[ctypes.Structure]] = {"Args": abi.args_type(layout.size), "Stuck": abi.Stuck}
    assertions = [line for name, kind in twins.items() for line in layout_of(kind, name)]
    constants = {"TICKS": abi.TICKS, "FLAGGED_AT": abi.GATES_BYTES, "LAMPORT_AT": ON_GPU.lamport_at}
    constants["HALF"] = ON_GPU.flagged_half
    assertions += [equal(name, number) for name, number in constants.items()]
    assert checked(tmp_path, layout, assertions)


@pytest.mark.parametrize("ranks", [3, 8])
def test_arguments_of_kernels_that_normalise_rows_are_the_same_on_both_sides(tmp_path: Path, ranks: int) -> None:
    header = source(collective='"all_reduce_rms_norm"', dtypes='["bfloat16"]', ops='["sum"]', cell='"lamport"')
    assertions = layout_of(args_type(ranks, rows=True), "Given")
    lines = ['#include "collbench.cuh"', *assertions, "KERNEL(a) { *a.residual = *a.weight; }", ""]
    rows = Kernel(read(write(tmp_path, "rows.cu", "\n".join([header, *lines]))))
    problem = a_problem("all_reduce_rms_norm", "bfloat16", ranks=ranks, hidden=64)
    assert build(rows.file, rows.defines(problem, rows.shape(problem), ON_GPU), "sm_90")


def test_a_difference_is_an_error(tmp_path: Path) -> None:
    wrong = type("Args", (ctypes.Structure,), {"_fields_": [("in_", ctypes.c_uint64), ("count", ctypes.c_uint64)]})
    with pytest.raises(KernelError, match=r"sizeof\(Args\)"):
        checked(tmp_path, ONE_NODE, layout_of(wrong, "Args"))


def fields_of(kind: type[ctypes.Structure]) -> list[tuple[int, int]]:
    """Where each field begins and ends."""
    places = [getattr(kind, field[0]) for field in kind._fields_]
    return [(place.offset, place.offset + place.size) for place in places]


@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 255])
def test_arguments_have_the_size_of_the_c_structure(ranks: int) -> None:
    kind = args_type(ranks)
    assert ctypes.sizeof(kind) == (56 + 8 + 8 * ranks + 4 * ranks + 7) // 8 * 8
    assert ctypes.sizeof(kind) < 4096, "what a launch may be given"
    assert [begin for begin, _ in fields_of(kind)] == [0, 8, 16, 24, 32, 40, 48, 56, 60, 64, 64 + 8 * ranks]


def test_no_structure_has_a_gap() -> None:
    for kind in (args_type(8), Stuck):
        assert all(end == begin for (_, end), (begin, _) in pairwise(fields_of(kind)))
