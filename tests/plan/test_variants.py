"""Variants as users write them, their legs, and the order in which a launch runs these."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import a_layout, a_problem, a_sweep

from collbench.errors import UsageError
from collbench.plan.problem import Case
from collbench.plan.sweep import make_plan
from collbench.plan.variants import Variant, check_names, defined, parse_variant

TREE = Variant("tree-ll", "nccl", (("NCCL_ALGO", "Tree"), ("NCCL_PROTO", "LL")))


def test_a_variant_is_a_backend_and_its_variables() -> None:
    assert parse_variant("tree-ll=nccl NCCL_ALGO=Tree NCCL_PROTO=LL") == TREE
    assert TREE.name == "nccl@tree-ll"
    assert parse_variant("one.b_2=nvrar-ll:blocks=8 NVSHMEM_X=").name == "nvrar-ll@one.b_2:blocks=8"
    assert TREE.facts == {
        "name": "tree-ll", "backend": "nccl@tree-ll", "variables": {"NCCL_ALGO": "Tree", "NCCL_PROTO": "LL"}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=mpi NCCL_X=1,2;3=4", "1,2;3=4"),
        ("a=mpi NCCL_X='one two'", "one two"),
        ('a=mpi "NCCL_X=one two"', "one two"),
        ("a=mpi NCCL_X=one\\ two", "one two"),
        ("a=mpi NCCL_X=a#b", "a#b"),
        ("a=mpi NCCL_X=$HOME", "$HOME"),
        ("a=mpi NCCL_X=", ""),
    ],
)
def test_values_are_as_in_a_shell_that_expands_nothing(text: str, value: str) -> None:
    assert parse_variant(text).variables == (("NCCL_X", value),)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_value_can_be_written(value: str) -> None:
    assert parse_variant(f"a=mpi NCCL_X={shlex.quote(value)}").variables == (("NCCL_X", value),)
    assert parse_variant(f"a={defined('mpi', [('NCCL_X', value)])}").variables == (("NCCL_X", value),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a variant; write LABEL='BACKEND VARIABLE=VALUE ...'"),
        ("tree", "'tree' is not a variant"),
        ("=nccl NCCL_ALGO=Tree", "is not a variant"),
        ("a b=nccl NCCL_ALGO=Tree", "'a b' cannot name a variant"),
        ("a@b=nccl NCCL_ALGO=Tree", "cannot name a variant"),
        ("a:b=nccl NCCL_ALGO=Tree", "cannot name a variant"),
        ("a,b=nccl NCCL_ALGO=Tree", "cannot name a variant"),
        ("ä=nccl NCCL_ALGO=Tree", "cannot name a variant"),
        ("a=", "variant a names no backend"),
        ("a=''", "variant a names no backend"),
        ("a=NCCL_ALGO=Tree", "variant a names no backend"),
        ("a=nccl", "variant a sets no variable"),
        ("a=nccl NCCL_ALGO", "'NCCL_ALGO' sets no variable"),
        ("a=nccl NCCL_ALGO = Tree", "'NCCL_ALGO' sets no variable"),
        ("a=nccl 1NCCL=Tree", "'1NCCL=Tree' sets no variable"),
        ("a=nccl NCCL_ALGO=Tree NCCL_ALGO=Ring", "variant a sets NCCL_ALGO twice"),
        ("a=nccl NCCL_ALGO='Tree", "variant a: no closing quotation"),
        ("a=nccl@b NCCL_ALGO=Tree", "nccl@b, which has a label already"),
    ],
)
def test_what_is_no_variant_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_variant(text)
    assert words in str(error.value)
    assert str(error.value).endswith(".")


def test_names_are_not_shared() -> None:
    check_names([TREE, Variant("ring", "nccl", TREE.variables)], ["nccl", "mpi"])
    with pytest.raises(UsageError, match="two variants are named tree-ll"):
        check_names([TREE, Variant("tree-ll", "nccl-symm", TREE.variables)], ["nccl"])
    with pytest.raises(UsageError, match="nccl@tree-ll is among the backends and a variant"):
        check_names([TREE], ["nccl", "nccl@tree-ll"])


def test_a_case_of_a_variant_has_its_name_and_asks_its_backend() -> None:
    problem = a_problem()
    plain, variant = a_sweep(variants=(TREE,)).cases_on(problem)
    assert (plain, plain.spec, plain.leg) == (Case(problem, "mpi"), "mpi", "")
    assert (variant.backend, variant.spec, variant.leg) == ("nccl@tree-ll", "nccl", "tree-ll")
    asked: list[str] = []
    make_plan(a_sweep(variants=(TREE,)), (a_layout(4),), 0, lambda _, name: asked.append(name))
    assert sorted(asked) == ["mpi", "nccl"]


def test_each_leg_has_its_own_backends() -> None:
    sweep = a_sweep(backends=("mpi", "mpi-ring"), variants=(TREE,))
    assert [sweep.specs(leg) for leg in ("", "tree-ll")] == [("mpi", "mpi-ring"), ("nccl",)]
    assert [sweep.variant(leg) for leg in ("", "tree-ll")] == [None, TREE]


def test_no_leg_has_a_place_of_its_own() -> None:
    labels = ("a", "b", "c")
    sweep = a_sweep(variants=tuple(Variant(label, "mpi", TREE.variables) for label in labels))
    orders = [sweep.legs(launch) for launch in range(400)]
    assert all(sorted(order) == ["", *labels] for order in orders)
    assert all(one == other[::-1] for one, other in zip(orders[::2], orders[1::2], strict=True)), "drift cancels"
    for leg in ("", *labels):
        places = [order.index(leg) for order in orders]
        assert all(70 <= places.count(place) <= 130 for place in range(4)), "drawn from the seed"
    assert orders[:4] != [sweep.legs(launch) for launch in range(4, 8)]
    other = a_sweep(seed=2, variants=sweep.variants[::-1])
    assert [other.legs(launch) for launch in range(8)] != orders[:8]
    again = a_sweep(variants=sweep.variants[::-1])
    assert [again.legs(launch) for launch in range(8)] == orders[:8], "whatever their order on the command line"
    assert a_sweep().legs(3) == [""]
    assert sorted(a_sweep(backends=(), variants=sweep.variants).legs(3)) == [*labels]
