"""Which rank sits on which node, which worlds a launch can form, and what is said where it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collbench.errors import UsageError
from collbench.plan.layout import Grouping, Layout, choose_members, number_nodes, parse_layout, virtual_layout

TWO_HOSTS = ["a", "a", "b", "b"]


def world(real: list[int], ranks: int | None, nodes: int | None) -> Layout:
    """The chosen sub-world, which must exist."""
    chosen = choose_members(real, ranks, nodes)
    assert isinstance(chosen, Layout), chosen
    return chosen


PAIRS = ((0, 1), (2, 3), (4, 5))


def test_groups_that_are_spread_alike_are_one_world() -> None:
    (world,) = Grouping(PAIRS, 8).layouts(["a"] * 6)
    assert (world.size, world.groups, world.everyone) == (2, PAIRS, (0, 1, 2, 3, 4, 5))
    assert (str(world), str(world.alone((2, 3)))) == ("1x2 in 3 groups", "1x2")


def test_groups_that_are_spread_otherwise_are_another_world() -> None:
    inside, across = Grouping(PAIRS, 8).layouts(["a", "a", "a", "b", "b", "b"])
    assert (inside.groups, across.groups, across.nodes) == (((0, 1), (4, 5)), ((2, 3),), (0, 1))


def test_groups_over_several_hosts_are_not_beside_those_of_one() -> None:
    inside, across = Grouping(((0, 1, 2), (3, 4, 5)), 1).layouts(["a", "a", "a", "a", "b", "b"])
    assert (inside.groups, across.groups) == (((0, 1, 2),), ((3, 4, 5),))
    assert inside.nodes == across.nodes == (0, 1, 2)
    assert inside.virtual
    assert across.virtual


def test_nodes_of_groups_may_be_smaller_than_hosts() -> None:
    (world,) = Grouping(((0, 1, 2, 3),), 2).layouts(["a"] * 4)
    assert (world.nodes, world.virtual) == ((0, 0, 1, 1), True)
    (world,) = Grouping(((0, 1, 2, 3),), 8).layouts(TWO_HOSTS)
    assert (world.nodes, world.virtual) == ((0, 0, 1, 1), False)


def test_of_groups_that_share_a_rank_the_first_is_taken() -> None:
    (world,) = Grouping(((0, 1), (1, 2), (2, 3)), 8).layouts(["a"] * 4)
    assert world.groups == ((0, 1), (2, 3))


def test_groups_need_their_ranks() -> None:
    with pytest.raises(UsageError, match="rank 5 is needed, but this launch has 4 ranks"):
        Grouping(PAIRS, 8).layouts(["a"] * 4)


@pytest.mark.parametrize(("text", "shape"), [("2x4", (2, 4)), (" 1X16 ", (1, 16)), ("10x2", (10, 2))])
def test_a_layout_is_nodes_by_ranks(text: str, shape: tuple[int, int]) -> None:
    assert parse_layout(text) == shape


@pytest.mark.parametrize("text", ["", "2", "2x", "x4", "0x4", "2x0", "2x4x8", "-2x4", "2*4", "2 x 4", f"2x{10**18}"])
def test_other_texts_are_no_layout(text: str) -> None:
    with pytest.raises(UsageError, match="write NODESxRANKS, for example 2x4"):
        parse_layout(text)


@pytest.mark.parametrize(
    ("hosts", "nodes"),
    [("aabb", (0, 0, 1, 1)), ("abab", (0, 1, 0, 1)), ("zzya", (0, 0, 1, 2)), ("", ())],
)
def test_nodes_are_numbered_as_their_hosts_appear(hosts: str, nodes: tuple[int, ...]) -> None:
    assert number_nodes(hosts) == nodes


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (Layout((0, 1, 2, 3), (0, 0, 1, 1)), "2x2"),
        (Layout((0, 1, 2, 3), (0, 1, 0, 1), virtual=True), "2x2 virtual"),
        (Layout((0, 1, 2), (0, 0, 1)), "2 uneven nodes"),
    ],
)
def test_a_layout_says_its_shape(layout: Layout, words: str) -> None:
    assert str(layout) == words


@pytest.mark.parametrize(
    ("shape", "hosts", "nodes", "virtual"),
    [
        ((2, 2), "aaaa", (0, 0, 1, 1), True),
        ((2, 2), "aabb", (0, 0, 1, 1), False),
        ((2, 2), "abab", (0, 0, 1, 1), True),  # ranks that alternate between hosts are not those nodes
        ((1, 4), "aaaa", (0, 0, 0, 0), False),
        ((1, 4), "aabb", (0, 0, 0, 0), True),  # one logical node over two hosts
        ((4, 1), "aabb", (0, 1, 2, 3), True),
        ((2, 1), "abcc", (0, 1), False),  # only the ranks that take part count
    ],
)
def test_nodes_are_virtual_unless_the_hosts_agree(
    shape: tuple[int, int], hosts: str, nodes: tuple[int, ...], virtual: bool
) -> None:
    assert virtual_layout(*shape, hosts) == Layout(tuple(range(len(nodes))), nodes, virtual)


def test_a_layout_larger_than_the_launch_is_refused() -> None:
    with pytest.raises(UsageError, match="2x4 needs 8 ranks, but this launch has 4"):
        virtual_layout(2, 4, TWO_HOSTS)


@pytest.mark.parametrize(
    ("real", "ranks", "nodes", "members"),
    [
        ([0, 0, 0, 0], 2, None, (0, 1)),
        ([0, 0, 1, 1], None, None, (0, 1, 2, 3)),
        ([0, 0, 1, 1], 2, 2, (0, 2)),
        ([0, 1, 0, 1], 2, None, (0, 2)),  # node after node, though ranks alternate
        ([0, 1, 0, 1], None, 1, (0, 2)),
        ([0, 0, 1, 2, 2], 4, 2, (0, 1, 3, 4)),  # over the node that is too small
        ([0, 0, 1], None, None, (0, 1, 2)),
    ],
)
def test_members_of_a_sub_world(
    real: list[int], ranks: int | None, nodes: int | None, members: tuple[int, ...]
) -> None:
    assert world(real, ranks, nodes).members == members


@pytest.mark.parametrize(
    ("real", "ranks", "nodes", "reason"),
    [
        ([0, 0, 1, 1], 4, 3, "3 nodes requested, but this launch has 2"),
        ([0, 0, 1, 1], 3, 2, "3 ranks cannot be divided evenly among 2 nodes"),
        ([0, 0, 0, 1], 4, 2, "4 ranks do not fit on 2 nodes: too few nodes have 2 ranks"),
        ([0, 1, 1, 2, 2], 4, 2, "the node of rank 0 has fewer than 2 ranks"),
    ],
)
def test_a_misfit_has_a_reason(real: list[int], ranks: int, nodes: int, reason: str) -> None:
    assert choose_members(real, ranks, nodes) == reason


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 12), st.integers(1, 4))
def test_an_even_sub_world_is_found_exactly_where_there_is_one(hosts: list[int], ranks: int, nodes: int) -> None:
    real = number_nodes(list(map(str, hosts)))
    share = ranks // nodes
    roomy = [node for node in set(real) if real.count(node) >= share]
    possible = ranks % nodes == 0 and len(roomy) >= nodes and real.count(0) >= share
    chosen = choose_members(real, ranks, nodes)
    assert isinstance(chosen, Layout) == possible
    if isinstance(chosen, Layout):
        assert (chosen.size, chosen.node_count, chosen.per_node) == (ranks, nodes, share)
        assert chosen.members[0] == 0
        assert list(chosen.members) == sorted(set(chosen.members))
        assert chosen.nodes == number_nodes([str(real[rank]) for rank in chosen.members])
        assert not chosen.virtual
