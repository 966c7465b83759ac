"""``verify``: good backends pass every story, and each story catches the mistake that it is meant for, and only it."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from running import BROKEN, Mpi, Ran

from collbench.devices.cpu import Cpu
from collbench.devices.device import PERIOD, Array, Region, Values, same
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.plan.layout import Layout
from collbench.plan.worlds import Topology
from collbench.proof.patterns import SPECIAL, SPECIAL_NUMBERS, expect, inputs, numerically
from collbench.verify.stories import STORIES
from collbench.verify.subjects import Order, Subject, default_sizes, scenes, subjects

FLOATS = [dtype for dtype in DTYPES.values() if dtype.is_float]
FLOAT = pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: dtype.name)
QUICK = ("verify", "--json", "--sizes", "4,2K,8K")


def outcomes(ran: Ran) -> list[dict[str, Any]]:
    """What was printed as JSON."""
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


def told(ran: Ran, status: str) -> set[str]:
    """The stories that ended so."""
    return {one["story"] for one in outcomes(ran) if one["status"] == status}


def test_good_backends_pass_on_any_layout(mpi: Mpi) -> None:
    ran = mpi.run(
        *QUICK, "--backend", "mpi,mpi-nvrar", "--layout", "2x2,3x1,2x1", "--dtype", "bfloat16",
        "--story", "back-to-back,two-communicators,random-delays,mixed-sizes,misaligned,special-values,same-bits",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = outcomes(ran)
    assert {one["status"] for one in found} == {"ok"}
    assert len(found) == 3 * 2 * 7
    assert {(one["layout"], one["ranks"]) for one in found} == {
        ("2x2 virtual", 4), ("3x1 virtual", 3), ("2x1 virtual", 2),
    }  # fmt: skip
    assert all(one["calls"] >= 30 for one in found)
    assert ran.err.count(" of 7 stories fine") == 3 * 2


def test_every_story_in_the_default_sizes_under_a_launcher(mpi: Mpi) -> None:
    ran = mpi.run("verify", "--backend", "mpi-nvrar", ranks=2)
    assert ran.code == 0, ran.err
    lines = [line.split() for line in ran.out.splitlines() if line.startswith("mpi-nvrar")]
    assert [line[1] for line in lines] == list(STORIES)
    assert {line[3] for line in lines} == {"ok"}
    assert "all_reduce · float32 · sum · 2 ranks, 1x2" in ran.out


@pytest.mark.parametrize("collective", ["reduce_scatter", "all_gather", "broadcast", "gather", "send_recv"])
def test_every_collective_in_place_where_it_has_such_a_form(mpich: Mpi, collective: str) -> None:
    ran = mpich.run(
        *QUICK, "--backend", "mpi", "--ranks", "3", "--collective", collective, "--dtype", "int32,float16",
        "--story", "back-to-back,mixed-sizes,misaligned,special-values",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert told(ran, "ok") == {"back-to-back", "mixed-sizes", "misaligned", "special-values"}
    assert told(ran, "skipped") == {"special-values"}, "integers have none"


@pytest.mark.parametrize("op", ["min", "max", "avg"])
def test_every_operation_with_special_values(mpich: Mpi, op: str) -> None:
    ran = mpich.run(*QUICK, "--backend", "mpi-nvrar", "--ranks", "3", "--op", op, "--dtype",
                    "float16,bfloat16,float32,float64", "--story", "special-values,same-bits")  # fmt: skip
    assert ran.code == 0, ran.err
    assert told(ran, "ok") == {"special-values", "same-bits"}


HELD = {story.name for story in STORIES.values() if story.late != "nobody"}


@pytest.mark.parametrize(
    ("name", "caught", "words"),
    [
        ("bakes-in-its-input", {"replay"}, "stale, it is the answer of an earlier call"),
        ("mixes-up-communicators", {"two-communicators"}, "2 KiB: "),
        ("impatient", HELD, "element 0"),
        ("reads-late", {"spoilt-inputs"}, "never written"),
        ("writes-twice", {"one-output"}, "2 KiB: "),
        ("wrong-after-larger", {"mixed-sizes"}, "2 KiB: "),
        ("wrong-if-misaligned", {"misaligned"}, "all off by one: routing layer, element 511: never written"),
        ("drops-nan", {"special-values"}, "expected nan, got"),
        ("adds-in-its-own-order", {"same-bits"}, "have other bits than on rank 0"),
        ("writes-past-the-end", set(STORIES), "bytes were written outside the output"),
        ("changes-its-input", set(STORIES) - {"spoilt-inputs"}, "the input was changed"),
    ],
)
def test_each_story_catches_its_mistake_and_no_other_does(mpich: Mpi, name: str, caught: set[str], words: str) -> None:
    ran = mpich.run("verify", "--json", "--sizes", "2K,8K", "--ranks", "3", "--backend", name, PYTHONPATH=str(BROKEN))
    assert ran.code == 3, ran.err
    assert told(ran, "wrong") == caught
    assert told(ran, "ok") == set(STORIES) - caught
    assert all(one["wrong"] for one in outcomes(ran) if one["status"] == "wrong")
    assert any(words in one["reason"] for one in outcomes(ran) if one["status"] == "wrong")


def test_what_a_backend_refuses_in_place_is_said(mpich: Mpi) -> None:
    ran = mpich.run(*QUICK, "--ranks", "2", "--backend", "reads-late", "--story", "back-to-back,random-delays",
                    PYTHONPATH=str(BROKEN))  # fmt: skip
    assert ran.code == 0, ran.err
    both, out_of_place = outcomes(ran)
    assert (both["status"], both["reason"]) == ("ok", "left out: never in place")
    assert out_of_place["reason"] == ""


def test_every_way_to_open_a_backend_is_told_of(mpich: Mpi) -> None:
    ran = mpich.run(*QUICK, "--ranks", "2", "--backend", "wrong-one-way", PYTHONPATH=str(BROKEN))
    assert ran.code == 3
    usual, other = ([one for one in outcomes(ran) if one["way"] == way] for way in ("", "by another path"))
    assert {one["story"] for one in usual} == set(STORIES)
    assert {one["status"] for one in usual} == {"ok"}
    assert {one["story"] for one in other} == {story.name for story in STORIES.values() if story.ways}
    assert {one["status"] for one in other} == {"wrong"}
    assert "wrong-one-way (by another path) all_reduce" in ran.err


def test_a_failure_and_a_missing_gpu_are_outcomes(mpich: Mpi) -> None:
    ran = mpich.run(
        *QUICK, "--ranks", "2", "--backend", "fails-to-prepare,nccl,mpi", "--story", "back-to-back",
        PYTHONPATH=str(BROKEN), CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    assert ran.code == 1, ran.err
    found = {one["backend"]: one for one in outcomes(ran)}
    assert {name: one["status"] for name, one in found.items()} == {
        "fails-to-prepare": "failed", "nccl": "skipped", "mpi": "ok",
    }  # fmt: skip
    assert "rank 1: RuntimeError: planted: no resources" in found["fails-to-prepare"]["reason"]
    assert found["nccl"]["story"] == "all stories"


@pytest.mark.parametrize("ranks", [None, 2])
def test_a_hang_ends_with_exit_5_and_what_was_found_is_told(mpich: Mpi, ranks: int | None) -> None:
    began = time.monotonic()
    where = () if ranks else ("--ranks", "2")
    ran = mpich.run(
        "verify", "--sizes", "4K,8K", "--backend", "mpi,hangs", "--timeout", "2", "--story", "back-to-back", *where,
        ranks=ranks, PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 5, ran.err
    assert time.monotonic() - began < 20
    assert "mpi      back-to-back     60  ok" in ran.out
    assert "timeout: rank 0 on" in ran.out
    assert "while proving hangs all_reduce float32 sum on 1x2, back-to-back: 8 KiB" in ran.out


def test_an_exception_in_a_call_ends_the_job(mpi: Mpi) -> None:
    began = time.monotonic()
    ran = mpi.run("verify", "--sizes", "8K", "--backend", "raises", "--ranks", "3", PYTHONPATH=str(BROKEN))
    assert ran.code == 1
    assert time.monotonic() - began < 12
    assert "ArithmeticError: planted" in ran.err
    assert "The ranks ended early" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--story", "back-to-bak"), "did you mean 'back-to-back'?"),
        (("--rounds", "0"), "x>=1"),
        (("--layout", "3x2", "--ranks", "4"), "does not multiply out"),
        (("--gpus", "2"), "this machine has none"),
    ],
)
def test_bad_input_ends_with_exit_2(mpich: Mpi, arguments: tuple[str, ...], words: str) -> None:
    ran = mpich.run("verify", *arguments, CUDA_VISIBLE_DEVICES="")
    assert ran.code == 2
    assert words in ran.err


def order(**changes: Any) -> Order:
    """Everything, on four ranks."""
    chosen: dict[str, Any] = {
        "topology": Topology(), "backends": ("mpi",), "collectives": ("all_reduce",), "dtypes": ("float32",),
        "ops": ("sum",), "sizes": None, "stories": tuple(STORIES), "rounds": 1, "seed": 1, "timeout": 60.0,
    }  # fmt: skip
    return Order(**{**chosen, **changes})


FOUR = Layout((0, 1, 2, 3), (0, 0, 1, 1), virtual=True)


def subject(**changes: Any) -> Subject:
    """The only subject of such an order."""
    (found,) = subjects(order(**changes), [FOUR])
    return found


def test_sizes_that_no_rank_can_share_are_left_away_unless_nothing_else_is_asked_for() -> None:
    parts = subject(collectives=("reduce_scatter",), sizes=(4, 8, 16, 17, 4000))
    assert (parts.sizes, parts.refusal) == ((16, 4000), "")
    assert subject(sizes=(3,)).refusal == "3 B hold no float32"
    assert subject(sizes=(3, 4000), backends=("mpi-nvrar",), collectives=("gather",)).refusal.startswith("NVRAR is")


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_default_sizes_have_tails_and_remainders(dtype: Dtype) -> None:
    counts = [size // dtype.itemsize for size in default_sizes(dtype, "cpu")]
    assert counts[:3] == [1, 2, 15]
    assert all(any(count > 10_000 and count % ranks for count in counts) for ranks in range(2, 129))
    assert max(default_sizes(dtype, "gpu")) == 16 << 20


def test_what_a_story_plays() -> None:
    whom = subject(sizes=(4, 4096))
    plays = {name: list(scenes(story, whom)) for name, story in STORIES.items()}
    assert [[work.bytes for work in scene.works] for scene in plays["mixed-sizes"]] == [[4, 4096]]
    assert [(scene.works[0].in_place, scene.shift) for scene in plays["misaligned"][::2]] == [
        (False, (1, 0)), (False, (0, 1)), (True, (1, 0)),
    ]  # fmt: skip
    assert {scene.works[0].in_place for scene in plays["back-to-back"]} == {False, True}
    assert all(work.bytes in (4, 4096) for played in plays.values() for scene in played for work in scene.works)


def sums_in_some_order(parts: Values, seed: int) -> Values:
    """Each addition rounded to the type itself, along a random chain."""
    turn = np.random.default_rng(seed).permutation(len(parts))
    total: Values = parts[turn[0]]
    for rank in turn[1:]:
        total = total + parts[rank]
    return total


@FLOAT
@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_special_values_have_one_sum_in_any_order_and_width(dtype: Dtype, ranks: int) -> None:
    parts = inputs(SPECIAL, dtype, "sum", ranks)
    expected = expect(SPECIAL, parts, dtype, "sum")
    with np.errstate(all="ignore"):
        for seed in range(4):
            assert same(sums_in_some_order(parts, seed).astype(np.float64), expected.middle).all()
        wide = sums_in_some_order(parts.astype(np.float64), 5).astype(dtype.numpy)
    assert same(wide.astype(np.float64), expected.middle).all()


@FLOAT
def test_special_values_are_all_there_on_every_rank(dtype: Dtype) -> None:
    parts = inputs(SPECIAL, dtype, "sum", 3)
    bits = parts.view(f"u{dtype.itemsize}")
    magnitude = bits & ((1 << (8 * dtype.itemsize - 1)) - 1)
    least_normal = 1 << (dtype.exact_bits - 1)
    with np.errstate(all="ignore"):
        kinds = {
            "NaN": np.isnan(parts), "inf": parts == np.inf, "-inf": parts == -np.inf,
            "-0": (magnitude == 0) & (bits != 0), "denormal": (magnitude > 0) & (magnitude < least_normal),
        }  # fmt: skip
        answer = expect(SPECIAL, parts, dtype, "sum").middle
        assert ((parts == np.inf).any(axis=0) & (parts == -np.inf).any(axis=0) & np.isnan(answer)).any()
        assert (np.isinf(answer) & np.isfinite(parts.astype(np.float64)).all(axis=0)).any(), "an overflow"
    assert all(found.any(axis=1).all() for found in kinds.values())
    assert 0.3 < np.isfinite(answer).mean() < 0.95
    assert not np.isnan(inputs(SPECIAL_NUMBERS, dtype, "min", 3)).any()


@FLOAT
@pytest.mark.parametrize("op", ["min", "max"])
def test_extremes_of_special_values_are_numpys(dtype: Dtype, op: str) -> None:
    for layer in (SPECIAL, SPECIAL_NUMBERS):
        parts = inputs(layer, dtype, op, 3)
        with np.errstate(all="ignore"):
            reduced = (np.minimum if op == "min" else np.maximum).reduce(parts, axis=0).astype(np.float64)
        expected = expect(layer, parts, dtype, op)
        assert same(expected.middle, reduced).all()
        assert np.isnan(expected.middle).any() == (layer == SPECIAL)


@FLOAT
def test_averages_of_special_values_pass_whether_divided_before_or_after(dtype: Dtype) -> None:
    parts = inputs(SPECIAL, dtype, "avg", 3)
    expected = expect(SPECIAL, parts, dtype, "avg")
    third = np.array(1 / 3, dtype.numpy)
    with np.errstate(all="ignore"):
        for got in (sums_in_some_order(parts, 1) * third, sums_in_some_order(parts * third, 2)):
            near = np.abs(got.astype(np.float64) - expected.middle) <= expected.tolerance
            assert (near | same(got.astype(np.float64), expected.middle)).all()
    assert np.isnan(expected.middle).any()
    assert (expected.tolerance[~np.isfinite(expected.middle)] == 0).all()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("want", "got", "wrong"),
    [
        (NAN, NAN, 0), (NAN, 1.0, 1), (NAN, INF, 1), (INF, INF, 0), (INF, -INF, 1), (INF, 3e38, 1), (INF, NAN, 1),
        (1.0, NAN, 1), (1.0, INF, 1), (0.0, -0.0, 0), (1e-45, 0.0, 1), (1e-45, 1e-45, 0),
    ],
)  # fmt: skip
def test_a_cpu_judges_nan_and_infinities(want: float, got: float, wrong: int) -> None:
    arena, table = np.zeros(4 * PERIOD, np.uint8), np.zeros(PERIOD, np.float32)
    table[7] = want
    values = arena.view(np.float32)
    values[:] = table
    values[7] = got
    found = Cpu().judge(arena, Region(0, 0, 1, PERIOD, DTYPES["float32"]), numerically(table), 0, 0)
    assert (found.wrong, found.index) == (wrong, 7 * wrong)


def test_a_cpu_holds_back_and_makes_recorded_calls_again() -> None:
    made: list[Array] = []
    device = Cpu()
    recording = device.recorded([lambda: made.append(1), lambda: made.append(2)])
    assert made == []
    recording.launch()
    recording.launch()
    recording.close()
    assert made == [1, 2, 1, 2]
    began = time.monotonic()
    device.hold_back(0.02)
    assert time.monotonic() - began >= 0.02


def test_stories_are_told_of_what_they_fit() -> None:
    reduce, gather = COLLECTIVES["all_reduce"], COLLECTIVES["all_gather"]
    assert STORIES["same-bits"].skips(reduce, DTYPES["int32"]) is None
    assert STORIES["same-bits"].skips(gather, DTYPES["float32"])
    assert STORIES["special-values"].skips(reduce, DTYPES["int32"])
