"""The ways of ``mpi-nvrar`` between nodes: message by message, to the bit on real ranks, and chosen by size."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import pytest
import schedules
from noting import Noting
from running import HERE, Mpi
from samples import a_layout, a_problem
from schedules import Run

from collbench import registry
from collbench.backends import Configurable, OtherWays, mpi_nvrar
from collbench.backends._between_nodes import SCHEDULES, UNFOLD_TAG, quickest
from collbench.errors import UsageError
from collbench.plan.problem import Problem

NODES = range(1, 9)
SHARD = 4 * lcm(*NODES)  # bytes of float32 that every number of nodes divides into whole elements


def noted(way: str, problem: Problem) -> Iterator[tuple[int, int, int, int]]:
    """(rank that sends, rank that receives, bytes, tag) of every message of a call."""
    for rank in range(problem.layout.size):
        comm, memory = Noting(rank), np.zeros(problem.count, np.float32)
        mpi_nvrar.ThreePhases(comm, problem, memory, memory, way)
        yield from ((rank, peer, size, tag) for (peer, size), tag in zip(comm.sent, comm.tags, strict=True))


def on(nodes: int, per_node: int) -> Problem:
    return a_problem(layout=a_layout(nodes * per_node, nodes), size=SHARD * per_node)


@pytest.mark.parametrize("way", SCHEDULES)
def test_trips_messages_and_bytes_are_those_counted(way: str) -> None:
    for nodes in NODES:
        for per_node in (1, 2):
            problem = on(nodes, per_node)
            everything = list(noted(way, problem))
            place = problem.layout.nodes
            between = [each for each in everything if place[each[0]] != place[each[1]]]
            sent, messages = Counter[int](), Counter(source for source, *_ in between)
            for source, _, size, _ in between:
                sent[source] += size
            trips = len({tag for *_, tag in between})
            cost = SCHEDULES[way].cost(nodes)
            counted = (trips, max(messages.values(), default=0))
            assert (cost.trips, cost.messages) == counted, (nodes, per_node)
            assert cost.shards * SHARD == pytest.approx(max(sent.values(), default=0))
            of_rank = Counter[int]()
            for source, _, size, _ in everything:
                of_rank[source] += size
            stated = mpi_nvrar.MpiNvrar(way).wire_bytes(problem)
            assert stated == pytest.approx(max(of_rank.values(), default=0))


BOOKS: dict[str, Callable[[Run], Iterator[schedules.Round]]] = {
    "doubling": schedules.recursive_doubling, "halving": schedules.rabenseifner, "one-shot": schedules.one_shot,
    "two-shot": schedules.two_shot,
}  # fmt: skip


@pytest.mark.parametrize("way", SCHEDULES)
def test_messages_are_those_of_the_textbook(way: str) -> None:
    for nodes in NODES if "shot" in way else (2, 4, 8):
        run = Run(nodes, nodes, nodes).fill()
        run.play(BOOKS[way](run))
        assert run.is_complete()
        found: dict[int, Counter[tuple[int, int, Fraction]]] = defaultdict(Counter)
        for source, target, size, tag in noted(way, on(nodes, 1)):
            found[tag][source, target, Fraction(size, SHARD)] += 1
        book = [Counter((one.source, one.target, Fraction(len(one.blocks), nodes)) for one in r) for r in run.rounds]
        assert [found[tag] for tag in sorted(found)] == list(filter(None, book)), nodes


def test_the_fold_comes_before_and_after_all_else() -> None:
    for way in ("doubling", "halving"):
        by_tag: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for source, target, _, tag in noted(way, on(7, 1)):
            by_tag[tag].add((source, target))
        assert min(by_tag.items()) == (3, {(4, 0), (5, 1), (6, 2)})
        assert by_tag[UNFOLD_TAG] == {(0, 4), (1, 5), (2, 6)}


# ---- To the bit ----

# Every rank counts the cases in which it does not hold the documented bits, on the first ranks of the launch.
PROGRAM = """
import json
from dataclasses import replace
from mpi4py import MPI
import numpy as np
from ring import inputs_of
from samples import a_layout, a_problem
from collbench.backends import mpi_nvrar
from collbench.backends._between_nodes import SCHEDULES
from collbench.plan.dtypes import DTYPES

wrong, done = [], 0
for ranks in range(1, 9):
    comm = MPI.COMM_WORLD.Split(0 if MPI.COMM_WORLD.Get_rank() < ranks else MPI.UNDEFINED)
    if comm == MPI.COMM_NULL:
        continue
    for nodes in (ranks, *([ranks // 2] if ranks % 2 == 0 else [])):
        for dtype, op, count in (("bfloat16", "sum", 1003), ("float32", "avg", 3), ("bfloat16", "avg", 1)):
            kind = DTYPES[dtype]
            problem = replace(a_problem(dtype=dtype, layout=a_layout(ranks, nodes)), op=op, size=count * kind.itemsize)
            inputs = inputs_of(dtype, count, ranks)
            for way in SCHEDULES:
                backend = mpi_nvrar.MpiNvrar(way)
                want = backend.exact_order(problem)(inputs).tobytes()
                mine = inputs[comm.Get_rank()]
                recv, again = np.empty_like(mine), mine.copy()
                for send, to in ((mine, recv), (again, again)):
                    call = backend.prepare(comm, problem, send, to)
                    for _ in range(1 + (send is not to)):
                        call()
                    call.free()
                    done += 1
                    if to.tobytes() != want:
                        wrong.append([way, nodes, ranks, dtype, op, count, send is to])
    comm.Free()
everywhere = MPI.COMM_WORLD.gather((done, wrong))
if MPI.COMM_WORLD.Get_rank() == 0:
    print(json.dumps(everywhere))
"""


def test_every_rank_holds_the_documented_bits(mpich: Mpi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    everywhere = mpich.values(PROGRAM, ranks=8)
    assert [wrong for _, wrong in everywhere] == [[]] * 8
    assert everywhere[0][0] == 12 * 3 * 4 * 2


def added(way: str, inputs: Any, nodes: int) -> Any:
    problem = replace(a_problem(dtype="float32", layout=a_layout(len(inputs), nodes)), op="sum")
    order = mpi_nvrar.MpiNvrar(way).exact_order(problem)
    assert order is not None
    return order(inputs)


def test_pairs_are_added_in_pairs_and_shots_in_order_of_node() -> None:
    draw = np.random.default_rng(16)
    a, b, c, d, e, f = inputs = draw.standard_normal((6, 4001)).astype(np.float32)
    in_pairs, in_order = ((a + e) + (b + f)) + (c + d), ((((a + b) + c) + d) + e) + f
    assert np.count_nonzero(in_pairs != in_order) > 100, "the order shows in the bits"
    for way in ("doubling", "halving"):
        assert np.array_equal(added(way, inputs, 6), in_pairs)
        assert np.array_equal(added(way, inputs, 3), ((a + b) + (e + f)) + (c + d))
    for way in ("one-shot", "two-shot"):
        assert np.array_equal(added(way, inputs, 6), in_order)
        assert np.array_equal(added(way, inputs, 3), ((a + b) + (c + d)) + (e + f))


def test_every_story_on_nodes_of_any_number(mpich: Mpi) -> None:
    names = ",".join(f"mpi-nvrar:between={way}" for way in ("halving", "one-shot", "by-size:trip=2K"))  # two-shot
    ran = mpich.run("verify", "--backend", names, "--layout", "3x1", "--dtype", "bfloat16", "--sizes", "8K", "--json")
    assert ran.code == 0, ran.err
    assert {one["status"] for one in json.loads(ran.out)} == {"ok"}


# ---- By size ----


@pytest.mark.parametrize("nodes", range(2, 20))
def test_a_way_is_chosen_by_its_trips_messages_and_bytes(nodes: int) -> None:
    def cost(way: str) -> Any:
        return SCHEDULES[way].cost(nodes)

    for shard in (4.0, 1e3, 3e4, 1e5, 3e5, 1e6, 1e9):
        costs = {way: cost(way) for way in SCHEDULES}
        taken = {way: (of.trips + of.messages / 32) * 64e3 + of.shards * shard for way, of in costs.items()}
        assert taken[quickest(nodes, shard, 64e3)] == min(taken.values())
    assert cost(quickest(nodes, 0.0, 64e3)).trips == 1, "nothing to send: the fewest trips"
    fewest = min(cost(way).shards for way in SCHEDULES)
    assert cost(quickest(nodes, 1e12, 64e3)).shards == fewest


def test_among_very_many_nodes_pairs_are_the_shortest_way() -> None:
    assert (quickest(128, 4.0, 64e3), quickest(128, 1e9, 64e3)) == ("one-shot", "two-shot")
    assert (quickest(512, 4.0, 64e3), quickest(512, 1e9, 64e3)) == ("doubling", "halving")


def test_on_two_nodes_doubling_is_the_shortest_way() -> None:
    assert {quickest(2, shard, 64e3) for shard in (4.0, 1e9)} == {"doubling"}


def test_the_size_is_that_of_a_shard_and_the_row_names_the_way() -> None:
    backend = mpi_nvrar.MpiNvrar().configured({"between": "by-size", "trip": "16K"})
    problem = a_problem(layout=a_layout(8, 4), size=64 << 10)  # a shard of 32 KiB: 3 s and a trip, or 1.5 s and two
    assert backend.way(replace(problem, size=16 << 10)) == "one-shot"
    assert backend.way(problem) == "two-shot"
    assert mpi_nvrar.MpiNvrar("by-size").way(problem) == "one-shot", "a trip is 256 KiB by default"
    memory = np.zeros(problem.count, np.float32)
    assert backend.prepare(Noting(0), problem, memory, memory).params == {"between": "two-shot"}
    alone = a_problem(layout=a_layout(2))
    memory = np.zeros(alone.count, np.float32)
    assert backend.prepare(Noting(0), alone, memory, memory).params == {}


def test_specs_are_read() -> None:
    backend = registry.find("mpi-nvrar:between=halving")
    assert backend == mpi_nvrar.MpiNvrar("halving")
    assert isinstance(registry.find("mpi-nvrar"), Configurable)
    assert not isinstance(registry.find("mpi-nvrar"), OtherWays)
    assert registry.find("mpi-nvrar:between=by-size:trip=1M") == mpi_nvrar.MpiNvrar("by-size", 1 << 20)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("between=halfing", "unknown between 'halfing'; did you mean 'halving'?"),
        ("between=halving:trip=64K", "takes between, and trip with between=by-size; omit trip"),
        ("trip=64K", "omit trip"),
        ("blocks=8", "omit blocks"),
        ("between=by-size:trip=x", "'x' is not a valid size"),
    ],
)
def test_specs_that_say_nothing_get_one_sentence(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        registry.find(f"mpi-nvrar:{spec}")
