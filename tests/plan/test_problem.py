"""A case and its row have one identity, made of every choice and of no outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from samples import a_layout, a_problem, a_record, untimed

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import Case, Problem, case_identity
from collbench.plan.skew import parse_skew


def test_a_case_and_its_row_have_the_same_identity() -> None:
    assert case_identity(Case(a_problem(), "mpi")) == a_record().identity
    rows = replace(a_problem(), hidden=64)
    assert case_identity(Case(rows, "mpi")) == a_record(hidden=64).identity
    late = replace(a_problem(), skew=parse_skew("0.02ms:3"))
    assert case_identity(Case(late, "mpi")) == a_record(skew="20us:3").identity
    virtual = replace(a_problem(size=4099, cache="cold", in_place=True), layout=a_layout(4, nodes=2, virtual=True))
    row = a_record(nodes=2, gpus_per_node=2, fabric="shm-virtual", params="kernel=x;cache=cold", in_place=True)
    assert case_identity(Case(virtual, "mpi")) == row.identity


def test_a_message_too_small_for_an_element_is_known_by_its_size() -> None:
    tiny = [case_identity(Case(a_problem(size=size), "mpi")) for size in (1, 2)]
    assert tiny[0] != tiny[1]
    assert tiny[0] == untimed("skipped", bytes=1, count=0).identity


@pytest.mark.parametrize(
    "change",
    [
        {"layout": a_layout(2)}, {"layout": a_layout(4, nodes=2)}, {"layout": a_layout(4, virtual=True)},
        {"layout": replace(a_layout(4), pair="a+b")},
        {"collective": COLLECTIVES["reduce_scatter"]}, {"dtype": DTYPES["int32"]}, {"op": "max"}, {"size": 8192},
        {"mode": "isolated"}, {"cache": "cold"}, {"in_place": True}, {"hidden": 64}, {"skew": parse_skew("20us")},
        {"skew": parse_skew("0")},
    ],
)  # fmt: skip
def test_every_choice_makes_another_case(change: dict[str, Any]) -> None:
    assert case_identity(Case(replace(a_problem(), **change), "mpi")) != case_identity(Case(a_problem(), "mpi"))


def test_the_backend_makes_another_case() -> None:
    assert case_identity(Case(a_problem(), "nccl")) != case_identity(Case(a_problem(), "mpi"))


def test_outcomes_make_no_other_case() -> None:
    other = untimed("failed", "broke", run_id="other", launch=3, params="kernel=x", fabric="tcp", wrong=1)
    assert other.identity == a_record().identity


def of_rows(**change: Any) -> Problem:
    """A message of 3 rows of 64 bfloat16 on 4 ranks."""
    usual = replace(
        a_problem(size=400), collective=COLLECTIVES["all_reduce_rms_norm"], dtype=DTYPES["bfloat16"], hidden=64
    )
    return replace(usual, **change)


def test_a_message_of_rows_has_a_weight_behind_it_and_two_outputs() -> None:
    problem = of_rows()
    assert (problem.count, problem.bytes) == (3 * 64, 3 * 128)
    assert (problem.sent(1), problem.received(1)) == (4 * 64, 6 * 64)
    assert (problem.input_bytes, problem.output_bytes) == (4 * 128, 6 * 128)
    assert problem.contributions == problem.layout.size + 1
    assert problem.overwrites
    assert problem.refusal() is None


def test_a_rank_that_is_late_is_one_of_the_world() -> None:
    assert replace(a_problem(), skew=parse_skew("20us:3")).refusal() is None
    assert replace(a_problem(), skew=parse_skew("20us")).refusal() is None
    words = "skew 20us:4 delays a rank that a world of 4 lacks"
    assert replace(a_problem(), skew=parse_skew("20us:4")).refusal() == words


def test_the_buffers_of_a_plain_collective_are_those_of_its_message() -> None:
    problem = a_problem()
    assert problem.sent(0) == problem.received(0) == problem.count
    assert problem.input_bytes == problem.output_bytes == problem.bytes
    assert problem.contributions == problem.layout.size
    assert [each.overwrites for each in (problem, replace(problem, in_place=True))] == [False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 100}, "100 B is too small for one row of 64 bfloat16"),
        ({"op": "max"}, "all_reduce_rms_norm is defined for sums of float16 and bfloat16 only"),
        ({"dtype": DTYPES["float32"]}, "all_reduce_rms_norm is defined for sums of float16 and bfloat16 only"),
        ({"in_place": True}, "all_reduce_rms_norm has no in-place form"),
    ],
)
def test_rows_are_refused_where_they_are_not_defined(change: dict[str, Any], words: str) -> None:
    assert of_rows(**change).refusal() == words
