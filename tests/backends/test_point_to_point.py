"""Schedules over point-to-point, counted message by message: few steps between nodes against few bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from noting import Noting
from samples import a_layout, a_problem

from collbench.backends import mpi_nvrar, mpi_ring
from collbench.backends._point_to_point import Maker
from collbench.plan.layout import Layout

SIZE = 6 << 10  # bytes of float32: shards and chunks of whole elements everywhere


def between_nodes(make: Maker, layout: Layout) -> Iterator[tuple[int, int]]:
    """(rank that sends, bytes) of every message of a call that goes to another node."""
    problem = a_problem(layout=layout, size=SIZE)
    for rank in range(layout.size):
        comm = Noting(rank)
        make(comm, problem, np.zeros(problem.count, np.float32), np.zeros(problem.count, np.float32))
        yield from ((rank, size) for peer, size in comm.sent if layout.nodes[peer] != layout.nodes[rank])


@pytest.mark.parametrize(("make", "steps"), [(mpi_nvrar.ThreePhases, 2), (mpi_ring.Ring, 14)], ids=["nvrar", "ring"])
def test_steps_between_four_nodes_of_two(make: Maker, steps: int) -> None:
    sent = Counter(rank for rank, _ in between_nodes(make, a_layout(8, nodes=4)))
    assert max(sent.values()) == steps, "log2 4, and 2 (8 - 1)"


@pytest.mark.parametrize(
    ("make", "whole"), [(mpi_nvrar.ThreePhases, [2, 1, 1]), (mpi_ring.Ring, [5 / 3] * 3)], ids=["nvrar", "ring"]
)
def test_messages_that_leave_each_of_three_nodes(make: Maker, whole: list[float]) -> None:
    layout, left = a_layout(6, nodes=3), [0.0] * 3
    for rank, size in between_nodes(make, layout):
        left[layout.nodes[rank]] += size / SIZE
    assert left == pytest.approx(whole)
