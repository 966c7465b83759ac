"""The cases of each chart: panels, worlds that scale, and maps, from one run or from two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from collbench.results.cases import CaseResult, cases
from collbench.results.panels import panels, rows_of
from collbench.results.records import Record
from collbench.views.naming import Words, words_of
from collbench.views.numbers import Group, cells_of, names_of_cells

Sides = tuple[Group, ...]  # the cases of each run, in the order of the runs; [] where a run has none
Groups = dict[Words, Sides]  # the cases of each chart of a kind, by the words for its file name
MIB = 1 << 20


def every(sides: Sides) -> Group:
    """The cases of all runs."""
    return [case for side in sides for case in side]


def by_panel(runs: Sequence[Iterable[Record]]) -> Groups:
    """Panels with a latency in any run."""
    found: Groups = {}
    for place, records in enumerate(runs):
        for group in panels(cases(records)).values():
            sides = found.setdefault(words_of(group[0].record), tuple([] for _ in runs))
            sides[place].extend(group)
    return {key: sides for key, sides in found.items() if cells_of(every(sides))}


def _joined(one: Sides, other: Sides) -> Sides:
    return tuple([*mine, *more] for mine, more in zip(one, other, strict=True))


def _grouped(parts: Iterable[tuple[Words, Sides]]) -> Groups:
    found: Groups = {}
    for key, sides in parts:
        found[key] = _joined(found[key], sides) if key in found else sides
    return found


def _words_but(case: CaseResult, **same: Any) -> Words:
    """The words of a case, with ranks, nodes and the columns in ``same`` replaced by constants."""
    return words_of(replace(case.record, ranks=0, nodes=0, gpus_per_node=0, **same))


def families(panel_groups: Groups) -> Groups:
    """Panels that differ only in ranks, grouped by number of nodes and by ranks per node."""
    parts = []
    for sides in panel_groups.values():
        case = every(sides)[0]
        rest, first = _words_but(case), case.record
        parts.append(((*rest, f"{first.nodes}n"), sides))
        if first.gpus_per_node is not None:
            parts.append(((*rest, f"{first.gpus_per_node}each"), sides))
    return {key: sides for key, sides in _grouped(parts).items() if scaling_sizes(every(sides))}


def maps(panel_groups: Groups) -> Groups:
    """Panels that differ only in type, mode, ranks and nodes, if two backends were timed on one of them."""
    found = _grouped((_words_but(every(sides)[0], dtype="", mode=""), sides) for sides in panel_groups.values())
    return {key: sides for key, sides in found.items() if any(map(_is_contest, panels(every(sides)).values()))}


def _is_contest(group: Group) -> bool:
    return len(names_of_cells(cells_of(group))) > 1


def scaling_sizes(group: Group) -> list[int]:
    """Of the sizes timed on several numbers of ranks: the smallest, the middle one, the largest, and 1 MiB."""
    ranks: dict[int, set[int]] = {}
    for record in (case.record for case in group if case.timed):
        ranks.setdefault(record.bytes, set()).add(record.ranks)
    sizes = sorted(size for size, some in ranks.items() if len(some) > 1)
    wanted = {sizes[0], sizes[len(sizes) // 2], sizes[-1], MIB} if sizes else set()
    return [size for size in sizes if size in wanted]


def rows_in(sides: Sides) -> list[Record]:
    """The rows of all runs."""
    return rows_of(every(sides))
