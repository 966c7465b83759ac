"""Kernels that normalise rows: launch shapes and macros by the rows of a message, whole rows in a launch, CPU ranks."""

from __future__ import annotations

import pytest
from emulated import needs_compiler
from kernel_files import ours
from running import Mpi, statuses
from samples import a_layout, a_problem

from collbench.backends._specs import split
from collbench.kernels.abi import ON_CPU, ON_GPU
from collbench.plan.problem import Problem

NORMS = ("nvrar-norm", "oneshot-norm")


def rows_of(count: int, hidden: int = 4096, ranks: int = 2, nodes: int = 1) -> Problem:
    """A message of ``count`` rows."""
    size, layout = 2 * hidden * count, a_layout(ranks, nodes)
    return a_problem("all_reduce_rms_norm", "bfloat16", hidden=hidden, size=size, layout=layout)


@pytest.mark.parametrize(
    ("rows", "hidden", "blocks", "threads"),
    [
        (1, 4096, 1, 512),  # two cells a thread while there are few rows
        (16, 4096, 16, 512),
        (17, 4096, 17, 512),
        (1000, 4096, 128, 512),
        (1, 8, 1, 64),
        (100, 1024, 100, 128),
        (1, 16384, 1, 512),  # four cells a thread
    ],
)
def test_a_row_has_a_block_and_a_block_the_threads_that_its_cells_need(
    rows: int, hidden: int, blocks: int, threads: int
) -> None:
    for name in NORMS:
        shape = ours(name).shape(rows_of(rows, hidden))
        assert (shape["blocks"], shape["threads"], shape["pdl"]) == (blocks, threads, 1)


def test_threads_divide_a_row_and_not_the_message() -> None:
    assert [ours(name).cells(rows_of(100, 64)) for name in NORMS] == [8, 8]


def test_a_shape_that_is_given_is_taken() -> None:
    chosen = ours("oneshot-norm").configured({"blocks": "3", "threads": "128", "pdl": "0"})
    assert chosen.shape(rows_of(100)) == {"blocks": 3, "threads": 128, "pdl": 0, "COLL_KEEP": 0}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("rows", "hidden"), [(1, 4096), (64, 4096), (2048, 4096), (16, 16384), (5, 64)])
def test_candidates_leave_no_block_idle_and_no_thread_without_cells(name: str, rows: int, hidden: int) -> None:
    first, *others = ours(name).candidates(rows_of(rows, hidden))
    assert first == name
    for spec in others:
        blocks, threads = (int(split(spec).parameters[each]) for each in ("blocks", "threads"))
        assert blocks < 2 * rows or blocks == 1
        assert threads < 2 * hidden // 8
        assert hidden // 8 <= 4 * threads
    assert others or hidden < 256


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("hidden", [8, 1000, 16384])
def test_a_launch_has_whole_rows(name: str, hidden: int) -> None:
    problem = rows_of(1 << 16, hidden, ranks=4)
    for scratch in (ON_GPU, ON_CPU):
        elements = ours(name).elements_at_once(problem, scratch)
        assert elements % hidden == 0
        assert elements > 0


def test_macros_are_those_of_the_problem() -> None:
    norm, problem = ours("oneshot-norm"), rows_of(1, 1000)
    macros = norm.defines(problem, norm.shape(problem), ON_GPU)
    assert (macros["COLL_HIDDEN"], macros["COLL_EPSILON"]) == (1000, "1e-05f")
    plain = ours("oneshot")
    assert "COLL_HIDDEN" not in plain.defines(a_problem(), plain.shape(a_problem()), ON_GPU)


@needs_compiler
def test_they_are_timed_and_proven_on_cpu_ranks_also_in_several_launches(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--backend", ",".join(NORMS), "--collective", "all_reduce_rms_norm", "--hidden", "1000", "--layout",
        "2x1", "--sizes", "6000,1100K", "--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "-o",
        "r.csv", ranks=None, CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = {(row.backend, row.bytes) for row in mpich.rows()}
    assert rows == {(name, size) for name in NORMS for size in (6000, 1126000)}
    assert statuses(mpich.rows()) == {"ok"}
    for name, size in rows:
        alone = ours(name).elements_at_once(rows_of(563, 1000, nodes=2), ON_CPU) * 2 >= size
        assert alone == (size == 6000)
