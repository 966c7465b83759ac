"""The norm kernel behind an unfused all-reduce: the documented bits in the emulator, and compiled for GPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_files import compiles
from rows import Operands, a_row_problem, random_rows

from collbench.kernels import host_compiler, nvrtc
from collbench.kernels.abi import FIRST_EPOCH, ON_GPU, Scratch
from collbench.kernels.cubin import resources, uses_nvshmem
from collbench.kernels.files import find_kernels
from collbench.kernels.norm import norm_kernel, prepare_norm
from collbench.kernels.slices import Slice
from collbench.plan import rms_norm
from collbench.verify import schedules
from collbench.verify.emulator import PAGE, Comms, Emulator, Ending, load

ALIGNED, SHIFTED = (0, 0, 0, 0), (1, 1, 3, 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("hidden", "rows", "shape", "shifts"),
    [
        (8, 5, (2, 32), ALIGNED),
        (1000, 3, (1, 64), ALIGNED),
        (1000, 2, (2, 96), SHIFTED),
        (4096, 1, (1, 128), ALIGNED),
    ],
)
def test_rows_have_the_documented_bits(
    dtype: str, hidden: int, rows: int, shape: tuple[int, int], shifts: tuple[int, int, int, int]
) -> None:
    problem, kernel, scratch = a_row_problem("1x2", dtype, hidden, rows), norm_kernel(), Scratch(PAGE, PAGE)
    options = kernel.defines(problem, {"threads": shape[1]}, scratch)
    library = host_compiler.kernel_library(kernel.file, options, host_compiler.EMULATED)
    loaded, schedule = load(library, kernel.file.symbol), schedules.draw(1, 2, *shape)
    summed, residual, weight = random_rows(problem, 1)
    ranks = [Operands(summed[rank], weight, residual, shifts, in_place=rank == 1) for rank in range(2)]
    emulator = Emulator(schedule, 2, Comms(1, scratch, FIRST_EPOCH), shape[0] * shape[1])
    try:
        for rank, each in enumerate(ranks):
            emulator.launch(rank, 0, loaded, each.addresses, problem.count, [True] * 2, shape)
        assert emulator.run() is Ending.DONE
    finally:
        emulator.close()
    for each in ranks:
        fresh = rms_norm.flat_residual(each.message[None], residual)
        assert each.wrong(rms_norm.normalised(fresh.reshape(rows, hidden), weight).reshape(-1), fresh) == ""


def test_it_is_no_backend() -> None:
    assert norm_kernel().file.symbol == "rms_norm"
    assert not {"rms-norm", "-rms-norm"} & find_kernels().keys()


class Recorder:
    """A launcher that notes what is launched."""

    layout = ON_GPU

    def __init__(self) -> None:
        self.compiled: list[dict[str, object]] = []
        self.launched: list[tuple[Slice, dict[str, int]]] = []

    def function(self, file: object, options: dict[str, object]) -> str:
        self.compiled.append(options)
        return "function"

    def shape(self, kernel: object, problem: object) -> dict[str, int]:
        return {"blocks": 2, "threads": 64, "pdl": 0}

    def fitted(self, kernel: object, function: object, shape: dict[str, int]) -> dict[str, int]:
        return {**shape, "blocks": 1}

    def launch(self, function: object, what: Slice, shape: dict[str, int], marks: int = 0) -> str:
        assert (function, marks) == ("function", 0)
        self.launched.append((what, shape))
        return "call"


def test_the_norm_reads_the_reduced_message_where_its_rows_then_are() -> None:
    recorder: Any = Recorder()
    problem, send, recv = a_row_problem("1x2", "bfloat16", 8, 3), np.arange(32), np.arange(48)
    made: object = prepare_norm(recorder, problem, send, recv)
    assert made == "call"
    assert recorder.compiled[0]["COLL_HIDDEN"] == 8
    what, shape = recorder.launched[0]
    assert shape == {"blocks": 1, "threads": 64, "pdl": 0}
    assert what.count == 24
    assert what.send.tolist() == what.recv.tolist() == list(range(48))
    weight, residual = what.rows
    assert weight.tolist() == list(range(24, 32))
    assert residual.tolist() == list(range(24, 48))


def test_no_launch_has_more_bytes_than_kernels_count() -> None:
    recorder: Any = Recorder()
    problem = a_row_problem("1x2", "bfloat16", 1000, 5_000_000)
    send, recv = (np.broadcast_to(np.uint16(0), count) for count in (problem.sent(0), problem.received(0)))
    call: Any = prepare_norm(recorder, problem, send, recv)
    counts = [what.count for what, _ in recorder.launched]
    assert call.launches == ["call"] * len(counts)
    assert sum(counts) == problem.count
    assert all(count % 1000 == 0 and count * 2 < 1 << 32 for count in counts)
    assert all(len(what.rows[1]) == len(what.send) - problem.count for what, _ in recorder.launched)


@compiles
@pytest.mark.parametrize(("hidden", "rows"), [(4096, 1), (1000, 64), (16384, 64)])
def test_it_compiles_for_gpus_without_nvshmem_and_spills_nothing(hidden: int, rows: int) -> None:
    kernel, problem = norm_kernel(), a_row_problem("1x4", "bfloat16", hidden, rows)
    options = kernel.defines(problem, kernel.shape(problem), ON_GPU)
    cubin = nvrtc._compile_and_link(nvrtc._job(kernel.file, options, "sm_90", nvrtc.toolchain()))
    assert resources(cubin).local_bytes == 0
    assert not uses_nvshmem(cubin)
