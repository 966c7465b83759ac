"""Marks by the names of phases: what the header declares compiles, anything else does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import compiles, source, write
from samples import a_layout, a_problem

from collbench.kernels.abi import ON_GPU
from collbench.kernels.header import read
from collbench.kernels.kernel import Kernel
from collbench.kernels.nvrtc import build
from collbench.kernels.sources import KernelError

pytestmark = compiles


def marking(folder: Path, phases: str | None, marked: str) -> bytes:
    """Compile a kernel whose header declares ``phases`` and that marks ``marked``, without timing them."""
    body = f'#include "collbench.cuh"\nKERNEL(a) {{ end_call(begin_call(a)); {marked} }}\n'
    file = read(write(folder, "lines.cu", source(phases=phases) + body))
    problem = a_problem(layout=a_layout(8, nodes=4))
    return build(file, Kernel(file).defines(problem, {"threads": 256}, ON_GPU), "sm_90")


def test_a_kernel_need_not_have_phases(tmp_path: Path) -> None:
    assert marking(tmp_path, None, "")
    assert marking(tmp_path, '["doubling", "fold-out"]', "mark(a, Mark::doubling + 1); mark(a, Mark::fold_out);")
    assert marking(tmp_path, '["doubling", "fold-out"]', "static_assert(int(Mark::fold_out) == 3);")


@pytest.mark.parametrize("phases", [None, '["send"]'])
def test_a_phase_that_the_header_does_not_declare_is_an_error(tmp_path: Path, phases: str | None) -> None:
    with pytest.raises(KernelError, match="receive"):
        marking(tmp_path, phases, "mark(a, Mark::receive);")
    with pytest.raises(KernelError, match="mark"):
        marking(tmp_path, phases, "mark(a, 1);")
