"""What each collective means: against plain definitions, NCCL's conventions and the bus factors of nccl-tests."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from collbench.plan.collectives import COLLECTIVES, RECEIVER, ROOT, Collective, find

Ints = NDArray[np.int64]
EACH = pytest.mark.parametrize("what", COLLECTIVES.values(), ids=COLLECTIVES)
PLAIN = [what for what in COLLECTIVES.values() if not what.normalises]
EACH_PLAIN = pytest.mark.parametrize("what", PLAIN, ids=[what.name for what in PLAIN])
RANKS = range(1, 10)
MULTIPLES = (1, 2, 5, 64)


def elements(what: Collective, ranks: int) -> list[int]:
    """Counts to try: multiples of the ranks, and anything else where the collective does not split."""
    return [m * ranks for m in MULTIPLES] + ([] if what.splits else [1, 7, 13])


def definition(name: str, inputs: Sequence[Ints], rank: int) -> Ints:
    """The output of one rank, as a textbook has it."""
    nothing, everything = np.empty(0, np.int64), np.concatenate(inputs)
    total: Ints = np.sum(inputs, axis=0) if name in ("all_reduce", "reduce_scatter") else nothing
    outputs: dict[str, Callable[[], Ints]] = {
        "all_reduce": lambda: total,
        "reduce_scatter": lambda: np.split(total, len(inputs))[rank],
        "all_gather": lambda: everything,
        "broadcast": lambda: inputs[ROOT],
        "gather": lambda: everything if rank == ROOT else nothing,
        "send_recv": lambda: inputs[rank - 1],
        "all_to_all": lambda: np.concatenate([np.split(mine, len(inputs))[rank] for mine in inputs]),
        "send": lambda: inputs[ROOT] if rank == RECEIVER else nothing,
    }
    return outputs[name]()


def by_pieces(what: Collective, n: int, inputs: Sequence[Ints], rank: int) -> Ints:
    """The output of one rank, put together from its pieces."""
    out = np.full(what.recv(n, len(inputs), rank), -1)
    for piece in what.pieces(n, len(inputs), rank):
        parts = [inputs[source][piece.origin : piece.origin + piece.count] for source in piece.sources]
        out[piece.start : piece.start + piece.count] = np.sum(parts, axis=0)
    return out


def test_the_definitions_below_cover_every_collective() -> None:
    assert {what.name for what in PLAIN} == {
        "all_reduce", "reduce_scatter", "all_gather", "broadcast", "gather", "send_recv", "all_to_all", "send",
    }  # fmt: skip


@EACH_PLAIN
@pytest.mark.parametrize("ranks", RANKS)
def test_pieces_mean_what_the_textbook_says(what: Collective, ranks: int) -> None:
    draw = np.random.default_rng(ranks)
    for n in elements(what, ranks):
        inputs = [draw.integers(0, 1 << 40, what.send(n, ranks, rank)) for rank in range(ranks)]
        for rank in range(ranks):
            np.testing.assert_array_equal(by_pieces(what, n, inputs, rank), definition(what.name, inputs, rank))


@EACH_PLAIN
@pytest.mark.parametrize("ranks", RANKS)
def test_pieces_cover_each_output_exactly_once(what: Collective, ranks: int) -> None:
    for n in elements(what, ranks):
        for rank in range(ranks):
            covered = np.zeros(what.recv(n, ranks, rank), np.int64)
            for piece in what.pieces(n, ranks, rank):
                assert piece.start + piece.count <= len(covered)
                covered[piece.start : piece.start + piece.count] += 1
            assert (covered == 1).all()


@EACH_PLAIN
def test_n_is_the_larger_buffer(what: Collective) -> None:
    sizes = [max(what.send(24, 4, rank), what.recv(24, 4, rank)) for rank in range(4)]
    assert max(sizes) == 24


@pytest.mark.parametrize("ranks", RANKS)
def test_the_residual_is_behind_the_rows_and_is_one_more_contribution(ranks: int) -> None:
    what = find("all_reduce_rms_norm")
    (piece,) = what.pieces(24, ranks, 0)
    assert (piece.start, piece.count, piece.origin) == (24, 24, 0)
    assert piece.start + piece.count == what.recv(24, ranks, 0)
    assert piece.sources == tuple(range(ranks + 1))


@pytest.mark.parametrize(
    ("name", "at_2", "at_3", "at_8"),
    [  # nccl-tests, doc/PERFORMANCE.md
        ("all_reduce", 1.0, 4 / 3, 1.75),
        ("reduce_scatter", 0.5, 2 / 3, 0.875),
        ("all_gather", 0.5, 2 / 3, 0.875),
        ("gather", 0.5, 2 / 3, 0.875),
        ("broadcast", 1.0, 1.0, 1.0),
        ("send_recv", 1.0, 1.0, 1.0),
        ("all_to_all", 0.5, 2 / 3, 0.875),
        ("all_reduce_rms_norm", 1.0, 4 / 3, 1.75),  # of the reduced message
    ],
)
def test_bus_factors_are_those_of_nccl_tests(name: str, at_2: float, at_3: float, at_8: float) -> None:
    assert [find(name).bus_factor(ranks) for ranks in (2, 3, 8)] == pytest.approx([at_2, at_3, at_8])


@EACH
@settings(deadline=None, max_examples=30)
@given(size=st.integers(0, 1 << 40), itemsize=st.sampled_from([1, 2, 4, 8]), ranks=st.integers(1, 1000))
def test_sizes_round_down_to_whole_elements_for_every_rank(
    what: Collective, size: int, itemsize: int, ranks: int
) -> None:
    count, step = what.count(size, itemsize, ranks), ranks if what.splits else 1
    assert count % step == 0
    assert count * itemsize <= size < (count + step) * itemsize


@pytest.mark.parametrize(("size", "rows"), [(0, 0), (2047, 0), (2048, 1), (6143, 2), (6144, 3)])
def test_a_message_of_rows_has_whole_rows(size: int, rows: int) -> None:
    assert find("all_reduce_rms_norm").count(size, 2, 4, hidden=1024) == rows * 1024


@pytest.mark.parametrize(
    ("name", "offsets"),
    [  # nccl/collectives: recvbuff == sendbuff + rank * recvcount; sendbuff == recvbuff + rank * sendcount
        ("all_reduce", [0, 0, 0, 0]),
        ("broadcast", [0, 0, 0, 0]),
        ("reduce_scatter", [0, -3, -6, -9]),
        ("all_gather", [0, 3, 6, 9]),
    ],
)
def test_buffers_in_place_lie_where_nccl_wants_them(name: str, offsets: list[int]) -> None:
    in_place = find(name).in_place
    assert in_place is not None
    assert [in_place(12, 4, rank) for rank in range(4)] == offsets


@EACH
@pytest.mark.parametrize("ranks", RANKS)
def test_in_place_the_smaller_buffer_is_inside_the_larger(what: Collective, ranks: int) -> None:
    if what.in_place is None:
        assert what.name in ("gather", "send_recv", "all_to_all", "send", "all_reduce_rms_norm")
        return
    for rank in range(ranks):
        n = 6 * ranks
        shift, sent, received = what.in_place(n, ranks, rank), what.send(n, ranks, rank), what.recv(n, ranks, rank)
        assert max(shift, 0) + sent <= n
        assert max(-shift, 0) + received <= n


def test_a_send_goes_one_way_and_its_bandwidth_is_that_of_the_link() -> None:
    what = find("send")
    assert (what.between_two, what.bus_factor(2)) == (True, 1.0)
    assert [(what.send(24, 2, rank), what.recv(24, 2, rank)) for rank in range(2)] == [(24, 0), (0, 24)]


def test_ranks_have_unlike_parts_where_one_of_them_is_special() -> None:
    assert {what.name for what in COLLECTIVES.values() if what.has_root} == {"broadcast", "gather", "send"}


@EACH
def test_a_collective_travels_by_name(what: Collective) -> None:
    there: Any = pickle.loads(pickle.dumps(what))
    assert there is what
