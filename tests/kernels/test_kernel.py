"""What a kernel takes, refuses and is tuned over, and the bytes that it sends, by its header alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from kernel_files import OF_ALL_REDUCE, a_kernel, ours
from samples import a_layout, a_problem

from collbench.backends import mpi_nvrar
from collbench.backends._specs import split
from collbench.errors import UsageError
from collbench.kernels.kernel import plain
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem

LAYOUTS = (a_layout(2), a_layout(8), a_layout(8, nodes=2), a_layout(8, nodes=8), a_layout(6, nodes=3))
SIZES = (4, 1000, 4096, 65536, 1 << 20, 64 << 20)
UNEVEN = Layout((0, 1, 2), (0, 0, 1))
OTHER_WAYS = (
    "nvrar-put-oneshot",
    "nvrar-put-oneshot-lamport",
    "nvrar-put-halving",
)  # to the same order of additions, with other bytes
THREE_PHASES = [name for name in OF_ALL_REDUCE if ours(name).file.order == "nvrar" and name not in OTHER_WAYS]


def test_parameters_are_taken_by_their_plain_names(tmp_path: Path) -> None:
    hop = a_kernel(tmp_path, defines="{COLL_BATCH = [1, 2], DEPTH = [4, 5]}")
    chosen = hop.configured({"blocks": "3", "threads": "96", "pdl": "0", "batch": "2", "depth": "5"})
    assert chosen.shape(a_problem()) == {"blocks": 3, "threads": 96, "pdl": 0, "COLL_BATCH": 2, "DEPTH": 5}
    assert chosen.file == hop.file
    assert hop.parameters == {}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"block": "8"}, "unknown parameter of hop 'block'; did you mean 'blocks'?"),
        ({"blocks": "8", "COLL_BATCH": "1"}, "unknown parameter of hop 'COLL_BATCH'; did you mean 'batch'?"),
        ({"warps": "1"}, "unknown parameter of hop 'warps'"),
        ({"blocks": "many"}, "hop: blocks='many' is not a whole number."),
        ({"threads": "-32"}, "hop: threads='-32' is not a whole number."),
        ({"batch": "1.0"}, "hop: batch='1.0' is not a whole number."),
        ({"blocks": "0"}, "hop: blocks=0 is not from 1 to 4096."),
        ({"blocks": "4097"}, "hop: blocks=4097 is not from 1 to 4096."),
        ({"threads": "0"}, "hop: threads=0 is not from 1 to 1024."),
        ({"threads": "1025"}, "hop: threads=1025 is not from 1 to 1024."),
    ],
)
def test_an_invalid_parameter_is_an_error(tmp_path: Path, parameters: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        a_kernel(tmp_path, defines="{COLL_BATCH = [1, 2]}").configured(parameters)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("parameters", [{"pdl": "2"}, {"batch": "0"}], ids=str)
def test_an_impossible_launch_shape_is_an_error(tmp_path: Path, parameters: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        a_kernel(tmp_path, defines="{COLL_BATCH = [1, 2]}").configured(parameters)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (a_problem("all_gather"), "hop implements all_reduce, not all_gather"),
        (a_problem(dtype="float16"), "hop does not support float16, only float32, bfloat16"),
        (a_problem(op="min"), "hop does not support min, only sum, max"),
        (a_problem(op="avg"), "hop does not support avg, only sum, max"),
        (a_problem(layout=UNEVEN), "hop needs the same number of ranks on every node"),
        (a_problem(ranks=5), "hop supports at most 4 ranks"),
        (a_problem(size=4100), "hop supports messages up to 4096 bytes"),
        (a_problem(size=4099), None),  # whole elements of it are 4096 bytes
        (a_problem(op="max", dtype="bfloat16", layout=a_layout(4, nodes=2)), None),
    ],
)
def test_they_refuse_what_the_header_does_not_declare(tmp_path: Path, problem: Problem, words: str | None) -> None:
    assert a_kernel(tmp_path, max_ranks="4", max_bytes="4096").refuses(problem) == words


def test_there_are_gates_for_255_ranks(tmp_path: Path) -> None:
    for hop in (a_kernel(tmp_path), a_kernel(tmp_path, max_ranks="1000")):
        assert hop.refuses(a_problem(ranks=255)) is None
        assert hop.refuses(a_problem(ranks=256)) == "hop supports at most 255 ranks"


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_ours_take_every_layout_of_equal_nodes(name: str) -> None:
    for layout, dtype, op in product(LAYOUTS, ours(name).file.dtypes, ours(name).file.ops):
        assert ours(name).refuses(a_problem(dtype=dtype, layout=layout, op=op)) is None


FEW = {"blocks": "[1, 4]", "threads": "[64, 32]"}


@pytest.mark.parametrize(
    ("size", "changes", "blocks", "threads"),
    [  # flagged cells of a whole message, 8 bytes of data in each
        (4, {}, 1, 32),
        (8 * 32, {}, 1, 32),
        (8 * 33, {}, 2, 32),
        (8 * 128, {}, 4, 32),
        (8 * 129, {}, 3, 64),
        (1 << 20, {}, 4, 64),
        (8 * 128, {"defines": "{COLL_BATCH = [2, 1]}"}, 2, 32),
        (8 * 256, {"defines": "{COLL_BATCH = [2, 1]}"}, 4, 32),
        (16 * 128, {"cell": '"lamport"'}, 4, 32),
        (8 * 128, {"order": '"nvrar"'}, 2, 32),  # of a shard: half of it for two ranks a node
        (8 * 128, {"order": None}, 2, 32),
    ],
)
def test_a_launch_has_the_threads_that_its_cells_need(
    tmp_path: Path, size: int, changes: dict[str, str | None], blocks: int, threads: int
) -> None:
    shape = a_kernel(tmp_path, **FEW, **changes).shape(a_problem(layout=a_layout(4, nodes=2), size=size))
    assert (shape["blocks"], shape["threads"]) == (blocks, threads)


def test_whole_numbers_have_flags_where_lamport_cells_cannot_escape(tmp_path: Path) -> None:
    hop = a_kernel(tmp_path, **FEW, cell='"lamport"', dtypes='["int32", "float32"]')
    earlier = replace(hop, file=replace(hop.file, escapes=False))
    for kernel, blocks in ((hop, [1, 1]), (earlier, [2, 1])):
        assert [kernel.shape(a_problem(dtype=name, size=512))["blocks"] for name in ("int32", "float32")] == blocks


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_one_round_is_enough_where_it_can_be_and_no_block_is_idle(name: str) -> None:
    backend = ours(name)
    for layout, dtype, size in product(LAYOUTS, backend.file.dtypes, SIZES):
        problem = a_problem(dtype=dtype, layout=layout, size=size)
        shape = backend.shape(problem)
        data = 8 if backend.flagged(problem) else 16
        cells = -(-size // (data * (1 if backend.file.order == "flat" else layout.size // layout.node_count)))
        most = {"blocks": max(backend.file.blocks), "threads": max(backend.file.threads)}
        row = 64 * shape.get("COLL_CHUNK", 0) or shape["threads"] * shape.get("COLL_BATCH", 1)
        assert row * shape["blocks"] >= cells or most.items() <= shape.items()
        assert row * (shape["blocks"] - 1) < cells
        assert shape["threads"] in backend.file.threads
        assert shape["pdl"] == 1


def test_a_chunk_is_handled_by_one_block_with_a_thread_for_each_cell_if_there_are_as_many() -> None:
    put, alone = ours("nvrar-put-lamport"), a_layout(2, nodes=2)
    shapes = [put.shape(a_problem(dtype="bfloat16", layout=alone, size=size)) for size in (16, 4096, 65536, 2 << 20)]
    assert [(each["blocks"], each["threads"]) for each in shapes] == [(1, 256), (1, 256), (1, 512), (32, 512)]
    small = ours("nvrar-put-lamport:chunk=4").shape(a_problem(dtype="bfloat16", layout=alone, size=65536))
    assert (small["blocks"], small["threads"]) == (16, 256)


def test_chunks_larger_than_the_message_are_tried_once() -> None:
    tried = ours("nvrar-put").candidates(a_problem(dtype="bfloat16", layout=a_layout(2, nodes=2), size=1024))[1:]
    assert {split(spec).parameters["chunk"] for spec in tried} == {"4"}


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_explicit_parameters_win(name: str) -> None:
    file = ours(name).file
    own = {plain(define): values[-1] for define, values in file.defines.items()}
    given = {"blocks": max(file.blocks) + 1, "threads": max(file.threads) // 2, "pdl": 0, **own}
    spec = ":".join([name, *(f"{key}={number}" for key, number in given.items())])
    for size in SIZES:
        shape = ours(spec).shape(a_problem(size=size))
        assert {plain(key): number for key, number in shape.items()} == given


def test_fewer_blocks_get_more_threads(tmp_path: Path) -> None:
    hop = a_kernel(tmp_path, **FEW).configured({"blocks": "1"})
    assert hop.shape(a_problem(size=8 * 64))["threads"] == 64


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_candidates_are_the_default_and_shapes_that_parse(name: str) -> None:
    backend, specs = ours(name), set()
    for layout, size in product(LAYOUTS, SIZES):
        first, *others = backend.candidates(a_problem(dtype="bfloat16", layout=layout, size=size))
        assert first == name
        assert len({first, *others}) == len(others) + 1
        specs.update(others)
    for spec in specs:
        asked = {key: int(text) for key, text in split(spec).parameters.items()}
        assert ours(spec).file == backend.file
        shape = ours(spec).shape(a_problem())
        assert {plain(key): number for key, number in shape.items()} == {**asked, "pdl": 1}
        assert asked["blocks"] in backend.file.blocks
        assert asked["threads"] in backend.file.threads


@pytest.mark.parametrize("name", OF_ALL_REDUCE)
def test_small_messages_try_few_blocks_and_large_ones_many(name: str) -> None:
    tried = {}
    for size in (64, 128 << 10, 64 << 20):
        specs = ours(name).candidates(a_problem(size=size, ranks=8))[1:]
        tried[size] = {split(spec).parameters["blocks"] for spec in specs}
    most = max(ours(name).file.blocks)
    assert tried[64] <= {str(min(ours(name).file.blocks))}, "more would have nothing to do"
    assert {int(blocks) for blocks in tried[64 << 20]} == {each for each in ours(name).file.blocks if 2 * each >= most}
    assert tried[128 << 10]
    assert tried[128 << 10].isdisjoint({str(most)})


@pytest.mark.parametrize(
    ("name", "layout", "shares"),  # of the message, in cells without flags
    [
        ("oneshot", a_layout(8), 7.0),
        ("nvrar-lamport", a_layout(8), 14 / 8),
        ("nvrar-lamport", a_layout(8, nodes=2), 6 / 4 + 1 / 4),
        ("nvrar-lamport", a_layout(8, nodes=8), 0.0 + 3),
        ("nvrar-ll", a_layout(8), 2 * 14 / 8),
        ("nvrar-ll", a_layout(8, nodes=2), 2 * (6 / 4 + 1 / 4)),
        ("nvrar-put", a_layout(8), 2 * 14 / 8),
        ("nvrar-put", a_layout(8, nodes=2), 2 * (6 / 4 + 1 / 4)),
        ("nvrar-put", a_layout(8, nodes=8), 2 * 3.0),
        ("nvrar-put-oneshot", a_layout(8, nodes=8), 2 * 7.0),
        ("nvrar-put-oneshot", a_layout(8, nodes=2), 2 * (6 / 4 + 1 / 4)),
    ],
)
def test_bytes_that_a_rank_sends(name: str, layout: Layout, shares: float) -> None:
    for dtype in ours(name).file.dtypes:
        assert ours(name).wire_bytes(a_problem(dtype=dtype, layout=layout)) == shares * 4096


@pytest.mark.parametrize(
    ("name", "layout", "shares"),
    [
        ("nvrar-put-lamport", a_layout(2, nodes=2), 1.0),
        ("nvrar-put-lamport", a_layout(8, nodes=8), 3.0),
        ("nvrar-put-oneshot-lamport", a_layout(8, nodes=8), 7.0),
        ("nvrar-put-oneshot-lamport", a_layout(8, nodes=2), 6 / 4 + 1 / 4),
        ("nvrar-put-halving", a_layout(8), 14 / 8),
        ("nvrar-put-halving", a_layout(2, nodes=2), 1.0),
        ("nvrar-put-halving", a_layout(8, nodes=8), 2 * 7 / 8),
        ("nvrar-put-halving", a_layout(6, nodes=3), 2 / 2 + (1 + 1) / 2),
        ("nvrar-put-halving", a_layout(7, nodes=7), 2 * 3 / 4 + 1),
    ],
)
def test_puts_without_flags_send_the_data_alone_but_where_words_may_have_any_bits(
    name: str, layout: Layout, shares: float
) -> None:
    sent = {each: ours(name).wire_bytes(a_problem(dtype=each, layout=layout)) for each in ours(name).file.dtypes}
    assert {each for each, size in sent.items() if size == shares * 4096} == {"float32", "float16", "bfloat16"}
    assert {each for each, size in sent.items() if size == 2 * shares * 4096} == {"float64", "int32", "int64"}


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 6, 7, 8, 9])
@pytest.mark.parametrize(
    "name", [name for name in OF_ALL_REDUCE if ours(name).file.order == "nvrar" and name not in OTHER_WAYS]
)
def test_data_that_is_sent_is_that_of_the_reference(name: str, nodes: int) -> None:
    for local in (1, 2, 4) if nodes > 1 else (2, 4):
        problem = a_problem(layout=a_layout(nodes * local, nodes))
        assert ours(name).formula(ours(name).file.wire, problem, problem.bytes) == mpi_nvrar.wire_bytes(problem)
