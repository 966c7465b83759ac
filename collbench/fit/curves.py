"""Measured latencies over sizes and worlds, of one backend and collective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from collbench.fit.algorithms import counts_of
from collbench.fit.families import Family, family_of
from collbench.plan.layout import VIRTUAL
from collbench.results.cases import CaseResult, cases
from collbench.results.records import Record

World = tuple[int, int]  # ranks, nodes
Way = tuple[float, float, float, float]  # steps and bytes inside a node, then between nodes


@dataclass(frozen=True)
class Point:
    """The median latency of a case over its launches in microseconds; ``virtual``: its nodes are."""

    size: int
    ranks: int
    nodes: int
    us: float
    virtual: bool = False

    @property
    def world(self) -> World:
        """Its ranks and nodes."""
        return self.ranks, self.nodes


@dataclass(frozen=True)
class Curve:
    """The points of a backend's ``family`` in cases that differ in size and world alone; ``cases`` are these, () where
    the points come from no results file."""

    backend: str
    family: Family
    points: tuple[Point, ...]
    cases: tuple[CaseResult, ...] = ()

    @property
    def operation(self) -> str:
        """The collective."""
        return self.family.operation

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """All sizes, in bytes."""
        return tuple(sorted({point.size for point in self.points}))

    @cached_property
    def worlds(self) -> tuple[World, ...]:
        """All worlds."""
        return tuple(sorted({point.world for point in self.points}))

    def ways(self, point: Point) -> list[Way]:
        """What each algorithm of the family asks of the links for this case."""
        return ways(self.family, point.size, point.ranks, point.nodes, point.virtual)


def ways(family: Family, size: int, ranks: int, nodes: int, virtual: bool = False) -> list[Way]:
    """What each algorithm asks of the links for ``size`` bytes. Virtual nodes have one kind of link."""
    seen = nodes if family.sees_virtual_nodes or not virtual else 1
    found = []
    for algorithm in _padded(family, seen, virtual):
        each = counts_of(family.operation, algorithm, ranks, seen)
        inside, between = each.sent_inside * size, each.sent_between * size
        way = (float(each.steps_inside), inside, float(each.steps_between), between)
        found.append((way[0] + way[2], way[1] + way[3], 0.0, 0.0) if virtual else way)
    return found


def _padded(family: Family, nodes: int, virtual: bool) -> list[str]:
    """The algorithms on so many nodes, as many on any; the last is repeated."""
    found = list(family.on(nodes, virtual))
    return found + found[-1:] * (family.most - len(found))


def curves_of(records: Iterable[Record]) -> list[Curve]:
    """The curves of these rows, in order of appearance, of the cases that have a latency. Worlds whose nodes have
    different numbers of ranks are left out, and so are worlds of one rank."""
    found: dict[tuple[object, ...], list[CaseResult]] = {}
    for case in cases(records):
        row = case.record
        if case.timed and row.ranks > 1 and is_even(row):
            found.setdefault(_key(row), []).append(case)
    return [_curve(group) for group in found.values()]


def _curve(group: Sequence[CaseResult]) -> Curve:
    row = group[0].record
    family = family_of(row.backend, row.collective, on_host=row.fabric.startswith("shm"))
    return Curve(row.backend, family, tuple(sorted(map(_point, group), key=_order)), tuple(group))


def is_even(row: Record) -> bool:
    """Whether all nodes of its world have equally many ranks."""
    return row.gpus_per_node is not None and row.ranks % row.nodes == 0


def _key(row: Record) -> tuple[object, ...]:
    """What the cases of a curve share: all but size, world and fabric, which follows from the world."""
    return replace(row, bytes=0, ranks=0, nodes=0, gpus_per_node=None, fabric="").identity


def _point(case: CaseResult) -> Point:
    row, us = case.record, case.median()
    if us is None:
        raise AssertionError("a timed case has a median")
    return Point(row.bytes, row.ranks, row.nodes, us, row.fabric.endswith(VIRTUAL))


def _order(point: Point) -> tuple[int, int, int]:
    return point.ranks, point.nodes, point.size
