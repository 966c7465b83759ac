"""Worlds of a launch: which layouts are swept, and how many ranks a launch of our own needs."""

from __future__ import annotations

import pytest

from collbench.errors import UsageError
from collbench.plan.layout import Layout
from collbench.plan.worlds import Topology, layouts_for

TWO_HOSTS = ["a", "a", "b", "b"]


def test_all_ranks_are_the_default_world() -> None:
    assert layouts_for(Topology(), TWO_HOSTS) == ((Layout((0, 1, 2, 3), (0, 0, 1, 1)),), ())


def test_every_count_of_ranks_is_a_world() -> None:
    worlds, misfits = layouts_for(Topology(ranks=(2, 3, 4)), ["a"] * 4)
    assert [each.members for each in worlds] == [(0, 1), (0, 1, 2), (0, 1, 2, 3)]
    assert misfits == ()


def test_ranks_and_nodes_are_crossed_and_misfits_have_reasons() -> None:
    worlds, misfits = layouts_for(Topology(ranks=(2, 3), nodes=(1, 2)), TWO_HOSTS)
    assert [each.members for each in worlds] == [(0, 1), (0, 2)]
    assert misfits == (
        "3 ranks do not fit on 1 node: too few nodes have 3 ranks",
        "3 ranks cannot be divided evenly among 2 nodes",
    )


def test_a_world_that_is_asked_for_twice_is_swept_once() -> None:
    worlds, _ = layouts_for(Topology(nodes=(2, 2)), TWO_HOSTS)
    assert len(worlds) == 1


def test_imposed_layouts_are_virtual_on_one_host() -> None:
    worlds, _ = layouts_for(Topology(layouts=((1, 4), (2, 2), (4, 1))), ["a"] * 4)
    assert list(map(str, worlds)) == ["1x4", "2x2 virtual", "4x1 virtual"]


def test_a_layout_may_have_any_of_the_counts_asked_for() -> None:
    (small,), _ = layouts_for(Topology(ranks=(2, 4), layouts=((2, 1),)), ["a"] * 4)
    assert small.members == (0, 1)


def test_layouts_of_several_sizes_need_no_counts_where_one_takes_all_ranks() -> None:
    worlds, _ = layouts_for(Topology(layouts=((2, 2), (3, 1))), ["a"] * 4)
    assert [each.members for each in worlds] == [(0, 1, 2, 3), (0, 1, 2)]
    with pytest.raises(UsageError, match="needs 3 ranks, not 4"):
        layouts_for(Topology(layouts=((3, 1), (2, 1))), ["a"] * 4)


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        (Topology(ranks=(2, 8)), "8 ranks requested, but this launch has 4; start it with -n 8"),
        (Topology(layouts=((2, 4),)), "layout 2x4 needs 8 ranks, not 4"),
        (Topology(ranks=(2, 4), layouts=((3, 1),)), "needs 3 ranks, not 2 or 4"),
        (Topology(nodes=(3,)), "3 nodes requested, but this launch has 2"),
    ],
)
def test_worlds_that_cannot_be_are_usage_errors(topology: Topology, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        layouts_for(topology, TWO_HOSTS)


@pytest.mark.parametrize(
    ("topology", "ranks"),
    [
        (Topology(), 7),
        (Topology(nodes=(2,)), 7),
        (Topology(ranks=(2, 4)), 4),
        (Topology(layouts=((2, 3), (1, 4))), 6),
        (Topology(ranks=(8,), layouts=((2, 3),)), 8),
    ],
)
def test_ranks_that_a_launch_of_our_own_needs(topology: Topology, ranks: int) -> None:
    assert topology.wanted_ranks(default=7) == ranks


def test_every_pair_of_hosts_is_a_world_whose_ranks_alternate() -> None:
    worlds, misfits = layouts_for(Topology(pairs=True), ["a", "a", "b", "b", "c"])
    assert worlds == (
        Layout((0, 2, 1, 3), (0, 1, 0, 1), pair="a+b"),
        Layout((0, 4, 1), (0, 1, 0), pair="a+c"),
        Layout((2, 4, 3), (0, 1, 0), pair="b+c"),
    )
    assert misfits == ()
    assert list(map(str, worlds)) == ["2x2 a+b", "2 uneven nodes a+c", "2 uneven nodes b+c"]
    assert len(layouts_for(Topology(pairs=True), [f"n{index}" for index in range(20)])[0]) == 190


def test_a_single_host_has_no_pairs() -> None:
    with pytest.raises(UsageError, match="--pairs needs ranks on at least two hosts, and here all are on one"):
        layouts_for(Topology(pairs=True), ["a"] * 4)
