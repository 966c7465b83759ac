"""Which rank is on which node: real nodes by host name, virtual nodes by --layout, and sub-worlds of both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, zip_longest

from collbench.errors import UsageError
from collbench.tables import counted

MOST_RANKS = 1 << 17  # of a world: they are listed and counted one by one
Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Layout:
    """The nodes of one world.

    ``members`` are ranks of the launch, in the order of the world; ``nodes[i]`` is the node (0, 1, ...) of
    ``members[i]``. ``virtual`` nodes are logical: several of them share a host, so they exercise an algorithm, not a
    network.
    ``pair`` names the two hosts of a world that is one of all pairs, else "". ``beside``: the members of further groups
    with the same nodes, each of which runs the same collective at the same time; ``groupings`` asked for this world.
    """

    members: tuple[int, ...]
    nodes: tuple[int, ...]
    virtual: bool = False
    pair: str = ""
    beside: Groups = ()
    groupings: tuple[Grouping, ...] = field(default=(), compare=False)

    @property
    def size(self) -> int:
        """Number of ranks of a group."""
        return len(self.members)

    @property
    def groups(self) -> Groups:
        """The members of every group."""
        return (self.members, *self.beside)

    @property
    def everyone(self) -> tuple[int, ...]:
        """The members of all groups."""
        return tuple(rank for group in self.groups for rank in group)

    def alone(self, group: tuple[int, ...]) -> Layout:
        """One of the groups, by itself."""
        return replace(self, members=group, beside=())

    @property
    def node_count(self) -> int:
        """Number of nodes."""
        return len(set(self.nodes))

    @property
    def per_node(self) -> int | None:
        """Ranks on each node, or None where nodes differ."""
        counts = set(Counter(self.nodes).values())
        return counts.pop() if len(counts) == 1 else None

    @property
    def places(self) -> tuple[int, ...]:
        """Ranks sorted by node, and by rank within a node."""
        return tuple(sorted(range(self.size), key=lambda rank: self.nodes[rank]))

    def __str__(self) -> str:
        shape = f"{self.node_count}x{self.per_node}" if self.per_node else f"{self.node_count} uneven nodes"
        together = f"in {len(self.groups)} groups" if self.beside else ""
        return " ".join(filter(None, [shape, "virtual" if self.virtual else "", self.pair, together]))


@dataclass(frozen=True)
class Grouping:
    """Groups of ranks that run a collective side by side, on nodes of at most ``per_node`` ranks of the launch, several
    of which may share a host."""

    groups: Groups
    per_node: int

    @property
    def ranks(self) -> int:
        """Ranks that a launch must have."""
        return max(map(max, self.groups)) + 1

    def layouts(self, hosts: Sequence[str]) -> tuple[Layout, ...]:
        """A world for all groups whose ranks are spread over nodes and over hosts alike; of groups that share a rank,
        the first.

        ``hosts[r]`` is that of rank r of the launch. Raises UsageError where the launch has too few ranks.
        """
        if self.ranks > len(hosts):
            raise UsageError(f"rank {self.ranks - 1} is needed, but this launch has {counted(len(hosts), 'rank')}.")
        seen: Counter[str] = Counter()
        nodes = []
        for host in hosts:
            nodes.append(f"{host} {seen[host] // self.per_node}")
            seen[host] += 1
        alike: dict[tuple[tuple[int, ...], ...], list[tuple[int, ...]]] = {}
        taken: dict[tuple[tuple[int, ...], ...], set[int]] = {}
        for group in self.groups:
            spread = tuple(number_nodes([of[rank] for rank in group]) for of in (nodes, hosts))
            if taken.setdefault(spread, set()).isdisjoint(group):
                taken[spread].update(group)
                alike.setdefault(spread, []).append(group)
        return tuple(
            Layout(first, of_nodes, of_nodes != of_hosts, beside=tuple(others), groupings=(self,))
            for (of_nodes, of_hosts), (first, *others) in alike.items()
        )


def merged(layouts: Iterable[Layout]) -> tuple[Layout, ...]:
    """Each of these worlds once, with all groupings that it is a world of."""
    found: dict[Layout, tuple[Grouping, ...]] = {}
    for layout in layouts:
        found[layout] = (*found.get(layout, ()), *layout.groupings)
    return tuple(replace(layout, groupings=groupings) for layout, groupings in found.items())


def parse_layout(text: str) -> tuple[int, int]:
    """(nodes, ranks per node) from text such as ``2x4``; UsageError for any other text."""
    match = re.fullmatch(r"([1-9]\d{0,17})x([1-9]\d{0,17})", text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r} is not a valid layout; write NODESxRANKS, for example 2x4.")
    return int(match[1]), int(match[2])


def number_nodes(hosts: Sequence[str]) -> tuple[int, ...]:
    """Node index of every rank, numbered in the order in which hosts first appear."""
    order = {host: index for index, host in enumerate(dict.fromkeys(hosts))}
    return tuple(order[host] for host in hosts)


def virtual_layout(nodes: int, per_node: int, hosts: Sequence[str]) -> Layout:
    """The first ``nodes * per_node`` ranks on ``nodes`` nodes; virtual unless the hosts match."""
    size = nodes * per_node
    if size > len(hosts):
        raise UsageError(f"layout {nodes}x{per_node} needs {size} ranks, but this launch has {len(hosts)}.")
    wanted = tuple(rank // per_node for rank in range(size))
    return Layout(tuple(range(size)), wanted, virtual=wanted != number_nodes(hosts[:size]))


def pairs_of(hosts: Sequence[str]) -> tuple[Layout, ...]:
    """A world for each pair of hosts, with all ranks of both; ``hosts[r]`` is that of rank r of the launch.

    Ranks of the two hosts alternate, so that in a ring every message crosses the network between them.
    """
    ranks = {host: [rank for rank, of in enumerate(hosts) if of == host] for host in dict.fromkeys(hosts)}
    return tuple(_pair(one, other, ranks[one], ranks[other]) for one, other in combinations(ranks, 2))


def _pair(one: str, other: str, mine: Sequence[int], theirs: Sequence[int]) -> Layout:
    both = zip_longest(((rank, 0) for rank in mine), ((rank, 1) for rank in theirs))
    members = [member for two in both for member in two if member is not None]
    return Layout(tuple(rank for rank, _ in members), tuple(node for _, node in members), pair=f"{one}{BETWEEN}{other}")


def choose_members(real: Sequence[int], ranks: int | None, nodes: int | None) -> Layout | str:
    """The sub-world of ``ranks`` ranks spread evenly over ``nodes`` nodes, or why there is none.

    ``real[r]`` is the node of rank r of the launch. None for ``ranks`` takes all ranks of those nodes; None
    for ``nodes`` fills node after node.
    """
    by_node: dict[int, list[int]] = {}
    for rank, node in enumerate(real):
        by_node.setdefault(node, []).append(rank)
    if nodes is None:
        members = [rank for node in by_node.values() for rank in node][:ranks]
    elif nodes > len(by_node):
        return f"{nodes} nodes requested, but this launch has {len(by_node)}"
    elif ranks is None:
        members = [rank for node in list(by_node.values())[:nodes] for rank in node]
    elif ranks % nodes:
        return f"{ranks} ranks cannot be divided evenly among {nodes} nodes"
    else:
        share = ranks // nodes
        hosts = [node for node in by_node.values() if len(node) >= share][:nodes]
        if len(hosts) < nodes:
            return f"{ranks} ranks do not fit on {counted(nodes, 'node')}: too few nodes have {share} ranks"
        members = [rank for node in hosts for rank in node[:share]]
        if 0 not in members:
            return f"the node of rank 0 has fewer than {share} ranks"
    members.sort()
    return Layout(tuple(members), number_nodes([str(real[rank]) for rank in members]))


VIRTUAL = "-virtual"
BETWEEN = "+"  # the two hosts of a pair; no host name has it
