"""Steps and bytes of the algorithms: by hand, and counted over their schedules, message by message."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import schedules
from noting import Noting
from samples import a_layout, a_problem
from schedules import Run, Schedule

from collbench.backends import mpi_nvrar, mpi_ring
from collbench.fit.algorithms import ALGORITHMS, Counts, counts_of
from collbench.plan.collectives import COLLECTIVES

WORLDS = [(2, 1), (3, 1), (4, 1), (8, 1), (2, 2), (4, 2), (4, 4), (6, 3), (6, 2), (8, 2), (8, 4), (9, 3), (12, 3),
          (5, 5), (12, 4), (16, 4), (24, 3), (24, 8), (32, 8), (15, 3)]  # fmt: skip
POWERS = [(ranks, nodes) for ranks, nodes in WORLDS if ranks & (ranks - 1) == 0]


def core(number: int) -> int:
    return 1 << (number.bit_length() - 1)


def numbers(counts: Counts) -> tuple[int, int, float, float]:
    return counts.steps_inside, counts.steps_between, counts.sent_inside, counts.sent_between


def agree(counts: Counts, counted: tuple[int, int, Fraction, Fraction]) -> bool:
    return numbers(counts) == pytest.approx([float(each) for each in counted])


@pytest.mark.parametrize(
    ("name", "world", "by_hand"),
    [
        ("ring", (4, 1), (6, 0, 1.5, 0)),
        ("ring", (4, 4), (0, 6, 0, 1.5)),
        ("ring", (8, 2), (10, 4, 0, 1.75)),
        ("tree", (8, 1), (14, 0, 2, 0)),
        ("tree", (24, 3), (14, 4, 0, 1.5)),
        ("tree", (8, 4), (2, 4, 0, 2)),
        ("recursive doubling", (8, 2), (2, 1, 2, 1)),
        ("recursive doubling", (3, 1), (3, 0, 3, 0)),
        ("rabenseifner", (8, 1), (6, 0, 1.75, 0)),
        ("rabenseifner", (8, 2), (4, 2, 1.5, 0.25)),
        ("rabenseifner", (6, 1), (6, 0, 3.5, 0)),
        ("one-shot", (4, 1), (1, 0, 3, 0)),
        ("one-shot", (8, 2), (0, 1, 0, 4)),
        ("two-shot", (4, 1), (2, 0, 1.5, 0)),
        ("nvrar", (8, 4), (2, 2, 1, 1)),
        ("nvrar, code's volume", (8, 2), (2, 1, 1.5, 0.5)),
        ("nvrar, code's volume", (32, 8), (2, 3, 1.5, 1.5)),
        ("nvrar, paper's volume", (8, 2), (6, 1, 1.5, 0.25)),
        ("nvrar, paper's volume", (32, 8), (6, 3, 1.5, 0.4375)),
        ("nvrar, paper's volume", (4, 4), (0, 2, 0, 1.5)),
        ("nvrar, code's volume", (6, 3), (2, 3, 1, 3)),
        ("nvrar, paper's volume", (6, 3), (2, 3, 1, 2.5)),
    ],
)
def test_all_reduces_by_hand(name: str, world: tuple[int, int], by_hand: tuple[float, ...]) -> None:
    assert numbers(counts_of("all_reduce", name, *world)) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("operation", "name", "world", "by_hand"),
    [
        ("reduce_scatter", "half ring", (8, 2), (5, 2, 0, 0.875)),
        ("all_gather", "half ring", (4, 1), (3, 0, 0.75, 0)),
        ("all_gather", "direct", (8, 2), (0, 1, 0, 0.5)),
        ("broadcast", "binomial", (8, 2), (2, 1, 2, 1)),
        ("gather", "binomial", (8, 1), (3, 0, 0.875, 0)),
        ("gather", "binomial", (5, 1), (3, 0, 0.8, 0)),
        ("all_to_all", "pairwise", (8, 2), (3, 4, 0.375, 0.5)),
        ("send", "message", (2, 2), (0, 1, 0, 1)),
        ("send_recv", "message", (4, 1), (1, 0, 1, 0)),
    ],
)
def test_others_by_hand(operation: str, name: str, world: tuple[int, int], by_hand: tuple[float, ...]) -> None:
    assert numbers(counts_of(operation, name, *world)) == pytest.approx(by_hand)


def blocks_of(name: str, ranks: int, nodes: int) -> int:
    found = {"ring": ranks, "two-shot": ranks, "rabenseifner": core(ranks), "nvrar": ranks // nodes, "tree": 2}
    return found.get(name, 1)


PLAYED: dict[str, Schedule] = {
    "ring": schedules.ring, "tree": schedules.trees, "recursive doubling": schedules.recursive_doubling,
    "rabenseifner": schedules.rabenseifner, "one-shot": schedules.one_shot, "two-shot": schedules.two_shot,
    "nvrar": schedules.nvrar,
}  # fmt: skip


@pytest.mark.parametrize("world", WORLDS, ids=str)
@pytest.mark.parametrize("name", PLAYED)
def test_all_reduces_message_by_message(name: str, world: tuple[int, int]) -> None:
    run = Run(*world, blocks_of(name, *world)).fill()
    run.play(PLAYED[name](run))
    assert run.is_complete()
    counted = run.as_pipeline() if name in ("ring", "tree") else run.by_rounds()
    assert agree(counts_of("all_reduce", name, *world), counted), counted


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_the_code_s_volume_doubles_what_goes_between_nodes(world: tuple[int, int]) -> None:
    run = Run(*world, world[0] // world[1]).fill()
    inside, between, sent_inside, sent_between = run.play(schedules.nvrar(run)).by_rounds()
    assert agree(
        counts_of("all_reduce", "nvrar, code's volume", *world), (inside, between, sent_inside, 2 * sent_between)
    )


@pytest.mark.parametrize("world", POWERS, ids=str)
def test_the_paper_s_volume_is_that_of_halving_alone(world: tuple[int, int]) -> None:
    """Rings in the nodes and (N-1)/N n/G between them is a schedule after which no rank has all of the sum."""
    run = Run(*world, world[0]).fill()
    inside, between, sent_inside, sent_between = run.play(schedules.halved_nvrar(run)).by_rounds()
    counts = counts_of("all_reduce", "nvrar, paper's volume", *world)
    assert agree(counts, (inside, between, sent_inside, 2 * sent_between))
    assert run.is_complete() == (world[1] == 1)


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_parts_of_an_all_reduce_message_by_message(world: tuple[int, int]) -> None:
    for scatters in (True, False):
        run = Run(*world, world[0]).fill()
        run.play(schedules.ring(run, gathers=not scatters, scatters=scatters))
        operation = "reduce_scatter" if scatters else "all_gather"
        assert agree(counts_of(operation, "half ring", *world), run.as_pipeline())
    for schedule in (schedules.direct_scatter, schedules.direct_gather):
        run = Run(*world, world[0]).fill()
        assert agree(counts_of("all_gather", "direct", *world), run.play(schedule(run)).by_rounds())


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_binomial_trees_message_by_message(world: tuple[int, int]) -> None:
    run = Run(*world, 1)
    run.holds = [{0: frozenset({0})}, *({} for _ in range(1, world[0]))]
    run.play(schedules.binomial_broadcast(run))
    assert all(held == {0: frozenset({0})} for held in run.holds)
    assert agree(counts_of("broadcast", "binomial", *world), run.by_rounds())
    run = Run(*world, world[0])
    run.holds = [{rank: frozenset({rank})} for rank in range(world[0])]
    run.play(schedules.binomial_gather(run))
    assert sorted(run.holds[0]) == list(range(world[0]))
    assert agree(counts_of("gather", "binomial", *world), run.by_rounds())


@pytest.mark.parametrize("world", POWERS, ids=str)
def test_pairwise_exchange_message_by_message(world: tuple[int, int]) -> None:
    run = Run(*world, world[0]).fill()
    assert agree(counts_of("all_to_all", "pairwise", *world), run.play(schedules.pairwise(run)).by_rounds())
    assert all(run.holds[rank][rank] == frozenset(range(world[0])) for rank in range(world[0]))


def rounds_of(make: Any, ranks: int, nodes: int) -> Run:
    """What one of our schedules over MPI sends, by step, in blocks of 4 bytes."""
    problem = a_problem(layout=a_layout(ranks, nodes), size=4 * 12 * ranks)
    found: dict[tuple[int, int], list[schedules.Message]] = defaultdict(list)
    for rank in range(ranks):
        comm = Noting(rank)
        make(comm, problem, np.zeros(problem.count, np.float32), np.zeros(problem.count, np.float32))
        seen: dict[int, int] = defaultdict(int)
        for (peer, size), tag in zip(comm.sent, comm.tags, strict=True):
            step = seen[tag] if make is mpi_ring.Ring else 0
            seen[tag] += 1
            order = tag if make is mpi_ring.Ring else {2: 99, 4: 98}.get(tag, tag)
            found[order, step].append(schedules.Message(rank, peer, frozenset(range(size // 4)), False))
    run = Run(ranks, nodes, problem.count)
    run.rounds = [found[key] for key in sorted(found)]
    return run


@pytest.mark.parametrize("world", [(4, 1), (4, 2), (6, 3), (8, 4), (4, 4)], ids=str)
def test_our_schedules_over_mpi_send_as_counted(world: tuple[int, int]) -> None:
    assert agree(counts_of("all_reduce", "nvrar", *world), rounds_of(mpi_nvrar.ThreePhases, *world).by_rounds())
    for way in ("halving", "one-shot", "two-shot"):
        found = rounds_of(partial(mpi_nvrar.ThreePhases, way=way), *world).by_rounds()
        assert agree(counts_of("all_reduce", f"nvrar, {way}", *world), found)
    ring, run = counts_of("all_reduce", "ring", *world), rounds_of(mpi_ring.Ring, *world)
    assert len(run.rounds) == ring.steps
    everything = [message for messages in run.rounds for message in messages]
    assert float(run.sent(everything, world[1] > 1)) == pytest.approx(ring.sent_inside + ring.sent_between)


def test_every_collective_has_an_algorithm() -> None:
    assert COLLECTIVES.keys() <= ALGORITHMS.keys()
