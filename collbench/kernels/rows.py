"""Kernels that normalise the rows of a message, a row a block (kernels/common/rows.cuh): their launches; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collbench.plan.rms_norm import CELL_ELEMENTS, EPSILON

if TYPE_CHECKING:
    from collbench.kernels.header import KernelFile
    from collbench.plan.problem import Problem

# Up to so many rows a thread has two cells of one: fewer warps to meet; beyond, more threads to hide the latency.
FEW_ROWS, CELLS_OF_FEW, MOST_CELLS = 16, 2, 4


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
    """Blocks and threads of a launch by default: a block for every row, and the fewest threads with a cell each, where
    there are few rows with two."""
    each = CELLS_OF_FEW if count(problem) <= FEW_ROWS else 1
    enough = (threads for threads in sorted(file.threads) if threads * each >= cells(problem))
    return {"blocks": min(max(file.blocks), count(problem)), "threads": next(enough, max(file.threads))}


def suits(threads: int, problem: Problem) -> bool:
    """Whether a block of ``threads`` has work for most, and for none more than a few cells of a row."""
    return threads < 2 * cells(problem) and cells(problem) <= MOST_CELLS * threads
