"""Kernels that normalise the rows of a message, a row a block (kernels/common/rows.cuh): their launches; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collbench.plan.rms_norm import CELL_ELEMENTS, EPSILON

if TYPE_CHECKING:
    from collbench.kernels.header import KernelFile
    from collbench.plan.problem import Problem

# Two blocks of 512 threads that keep nothing fit a multiprocessor: up to so many rows, each has a block. Beyond, one
# block each that keeps its rows in registers is faster. Both measured on 2 x H100 (results/README.md).
ROWS_AT_ONCE, BLOCKS_BEYOND, MOST_CELLS = 256, 128, 4
KEEP = "COLL_KEEP"  # whether a thread keeps its cells in registers


def defines(problem: Problem) -> dict[str, str | int]:
    """The macros of rows; none where the collective has no rows."""
    return {"COLL_HIDDEN": problem.hidden, "COLL_EPSILON": f"{EPSILON!r}f"} if problem.hidden else {}


def whole(elements: int, problem: Problem) -> int:
    """``elements``, rounded down to whole rows where there are rows."""
    return elements // (problem.hidden or 1) * (problem.hidden or 1)


def count(problem: Problem) -> int:
    """The number of rows in the message."""
    return problem.count // problem.hidden


def cells(problem: Problem) -> int:
    """The number of cells in a row."""
    return problem.hidden // CELL_ELEMENTS


def shape(file: KernelFile, problem: Problem) -> dict[str, int]:
    """Parameters of a launch by default: a block for every row, as far as they are resident at once, and the fewest
    threads with a cell each."""
    rows = count(problem)
    enough = (threads for threads in sorted(file.threads) if threads >= cells(problem))
    few = rows <= ROWS_AT_ONCE
    own = {KEEP: int(not few)} if KEEP in file.defines else {}
    blocks = min(max(file.blocks), rows if few else BLOCKS_BEYOND)
    return {"blocks": blocks, "threads": next(enough, max(file.threads)), **own}


def suits(threads: int, problem: Problem) -> bool:
    """Whether a block of ``threads`` has work for most, and for none more than a few cells of a row."""
    return threads < 2 * cells(problem) and cells(problem) <= MOST_CELLS * threads
