"""The requested worlds, and those of them that this launch can form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collbench.errors import UsageError
from collbench.plan.layout import Grouping, Layout, choose_members, merged, number_nodes, pairs_of, virtual_layout


@dataclass(frozen=True)
class Topology:
    """World sizes: totals of ranks, node counts, and layouts (nodes, ranks on each). ``on_gpus``: every rank needs
    its own GPU. ``pairs``: instead, every pair of hosts; ``groupings``: instead, groups of ranks side by side."""

    ranks: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    layouts: tuple[tuple[int, int], ...] = ()
    on_gpus: bool = False
    pairs: bool = False
    groupings: tuple[Grouping, ...] = ()

    def wanted_ranks(self, default: int) -> int:
        """The number of ranks that these worlds need; ``default`` if neither ranks nor layouts are given."""
        if self.groupings:
            return max(grouping.ranks for grouping in self.groupings)
        if self.ranks:
            return max(self.ranks)
        return max((nodes * each for nodes, each in self.layouts), default=default)


def layouts_for(topology: Topology, hosts: Sequence[str]) -> tuple[tuple[Layout, ...], tuple[str, ...]]:
    """The worlds to sweep in a launch whose rank r runs on ``hosts[r]``, and why other requested ones do not fit.

    Raises UsageError for more ranks than the launch has, for layouts of another number of ranks, for pairs of a single
    host, and if no world fits.
    """
    if topology.pairs:
        return _pairs(hosts), ()
    if topology.groupings:
        return merged(layout for grouping in topology.groupings for layout in grouping.layouts(hosts)), ()
    size, real = len(hosts), number_nodes(hosts)
    too_many = next((count for count in topology.ranks if count > size), None)
    if too_many:
        raise UsageError(f"{too_many} ranks requested, but this launch has {size}; start it with -n {too_many}.")
    if topology.layouts:
        wanted = [nodes * each for nodes, each in topology.layouts]
        sizes = topology.ranks or (
            wanted if max(wanted) == size else (size,)
        )  # if one layout takes all ranks, others may be smaller
        return tuple(_imposed(*shape, sizes, hosts) for shape in topology.layouts), ()
    worlds: list[Layout] = []
    misfits: list[str] = []
    for nodes in topology.nodes or (None,):
        for ranks in topology.ranks or (None,):
            world = choose_members(real, ranks, nodes)
            if isinstance(world, str):
                misfits.append(world)
            else:
                worlds.append(world)
    if not worlds:
        raise UsageError(f"{misfits[0]}.")
    return tuple(dict.fromkeys(worlds)), tuple(misfits)


def _pairs(hosts: Sequence[str]) -> tuple[Layout, ...]:
    found = pairs_of(hosts)
    if not found:
        raise UsageError("--pairs needs ranks on at least two hosts, and here all are on one; start them on several.")
    return found


def _imposed(nodes: int, each: int, sizes: Sequence[int], hosts: Sequence[str]) -> Layout:
    if nodes * each not in sizes:
        have = " or ".join(map(str, sizes))
        raise UsageError(f"layout {nodes}x{each} needs {nodes * each} ranks, not {have}; change --layout or --ranks.")
    return virtual_layout(nodes, each, hosts)
