"""A case and its row have one identity, made of every choice and of no outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from samples import a_layout, a_problem, a_record, untimed

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import Case, case_identity


def test_a_case_and_its_row_have_the_same_identity() -> None:
    assert case_identity(Case(a_problem(), "mpi")) == a_record().identity
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
        {"mode": "isolated"}, {"cache": "cold"}, {"in_place": True},
    ],
)  # fmt: skip
def test_every_choice_makes_another_case(change: dict[str, Any]) -> None:
    assert case_identity(Case(replace(a_problem(), **change), "mpi")) != case_identity(Case(a_problem(), "mpi"))


def test_the_backend_makes_another_case() -> None:
    assert case_identity(Case(a_problem(), "nccl")) != case_identity(Case(a_problem(), "mpi"))


def test_outcomes_make_no_other_case() -> None:
    other = untimed("failed", "broke", run_id="other", launch=3, params="kernel=x", fabric="tcp", wrong=1)
    assert other.identity == a_record().identity
