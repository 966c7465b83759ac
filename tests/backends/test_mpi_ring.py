"""``mpi-ring``: its order of additions to the bit, on any ring; what it refuses, and the bytes that it states."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ring import CASES, inputs_of
from running import HERE, Mpi, statuses
from samples import a_layout, a_problem

from collbench.backends import mpi_ring
from collbench.devices.device import Values
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.layout import Layout

# What every rank holds after a ring of all its cases, in place and not, as whole numbers of the width of the type.
PROGRAM = """
import json
import numpy as np
from dataclasses import replace
from mpi4py import MPI
from samples import a_problem
from collbench.backends import mpi_ring
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from ring import CASES, inputs_of

comm, found = MPI.COMM_WORLD, []
layout = Layout(tuple(range(comm.Get_size())), {nodes})
for dtype, op, count in CASES:
    kind = DTYPES[dtype]
    problem = replace(a_problem(dtype=dtype, layout=layout), op=op, size=count * kind.itemsize)
    mine = inputs_of(dtype, count, comm.Get_size())[comm.Get_rank()]
    recv = np.empty_like(mine)
    again = mine.copy()
    for send, to in ((mine, recv), (again, again)):
        ring = mpi_ring.Ring(comm, problem, send, to)
        ring()
        if send is not to:
            ring()
        ring.free()
    found.append([each.view(f"u{{kind.itemsize}}").tolist() for each in (recv, again)])
everywhere = comm.gather(found)
if comm.Get_rank() == 0:
    print(json.dumps(everywhere))
"""


def around_the_ring(inputs: Values, ring: list[int], op: str) -> Values:
    """Chunk c begins with the rank at place c of the ring and meets the others in turn, one rounding each."""
    kind = inputs.dtype
    wide = np.float32 if kind.itemsize == 2 else kind
    count, size = inputs.shape[1], len(ring)
    out = np.empty(count, kind)
    for c in range(size):
        chunk = slice(count * c // size, count * (c + 1) // size)
        total = inputs[ring[c], chunk]
        for step in range(1, size):
            total = (total.astype(wide) + inputs[ring[(c + step) % size], chunk].astype(wide)).astype(kind)
        out[chunk] = (total.astype(wide) / size).astype(kind) if op == "avg" else total
    return out


RINGS: dict[tuple[int, ...], list[int]] = {
    (0, 0): [0, 1],
    (0, 1, 2): [0, 1, 2],
    (0, 0, 1, 1, 1): [0, 1, 2, 3, 4],
    (0, 1, 0, 1, 0): [0, 2, 4, 1, 3],  # ranks dealt out one by one: the ring still goes node after node
}


@pytest.mark.parametrize("nodes", RINGS, ids=str)
def test_additions_go_round_the_ring_to_the_bit(
    mpich: Mpi, nodes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = RINGS[nodes]
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    everywhere = mpich.values(PROGRAM.format(nodes=nodes), ranks=len(nodes))
    assert len(everywhere) == len(nodes)
    for (dtype, op, count), *results in zip(CASES, *everywhere, strict=True):
        want = around_the_ring(inputs_of(dtype, count, len(nodes)), ring, op)
        bits = want.view(f"u{want.dtype.itemsize}").tolist()
        assert all(each == bits for both in results for each in both), (dtype, op, count)


def test_the_order_shows_in_the_bits() -> None:
    inputs = inputs_of("float16", 1003, 5)
    orders = ([0, 1, 2, 3, 4], [0, 2, 4, 1, 3])
    one, other = (around_the_ring(inputs, ring, "sum") for ring in orders)
    assert np.count_nonzero(one != other) > 100


def test_types_and_operations_in_place_and_not(mpich: Mpi) -> None:
    for extra in ((), ("--in-place", "--resume")):
        ran = mpich.run(
            "sweep", "--backend", "mpi-ring", "--dtype", "bfloat16,float64,int32",
            "--op", "sum,min,avg", "--sizes", "8,70001", "--ranks", "3", "--samples", "2", "--max-seconds",
            "0.02", "--warmup", "1", "-o", "r.csv", *extra,
        )  # fmt: skip
        assert ran.code == 0, ran.err
    rows = mpich.rows()
    assert len(rows) == 2 * 3 * 3 * 2
    assert {row.reason for row in rows if row.status != "ok"} == {"avg is not defined for int32"}
    assert statuses([row for row in rows if not row.reason]) == {"ok"}


def test_every_story_on_nodes_of_any_number(mpi: Mpi) -> None:
    layouts = "2x2,3x1" if mpi.name == "mpich" else "3x1"
    ran = mpi.run(
        "verify", "--backend", "mpi-ring", "--layout", layouts, "--dtype", "bfloat16", "--sizes", "4,8K", "--json"
    )
    assert ran.code == 0, ran.err
    assert {one["status"] for one in json.loads(ran.out)} == {"ok"}


@pytest.mark.parametrize("name", sorted(COLLECTIVES.keys() - {"all_reduce"}))
def test_it_is_an_all_reduce(name: str) -> None:
    problem: Any = a_problem(name)
    assert mpi_ring.refuses(problem) == f"the ring implements all_reduce, not {name}"


def test_nodes_may_hold_different_numbers_of_ranks() -> None:
    assert mpi_ring.refuses(replace(a_problem(), layout=Layout((0, 1, 2), (0, 0, 1)))) is None


@pytest.mark.parametrize(("ranks", "sent"), [(2, 4096), (4, 6144), (8, 7168)])
def test_what_a_rank_sends_does_not_depend_on_nodes(ranks: int, sent: float) -> None:
    assert mpi_ring.wire_bytes(a_problem(ranks=ranks)) == sent
    assert mpi_ring.wire_bytes(a_problem(layout=a_layout(ranks, 2))) == sent
