"""Panels: the cases of one table or chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collbench.plan.layout import VIRTUAL
from collbench.plan.rms_norm import rows_words
from collbench.plan.skew import order, skew_words
from collbench.results.cases import CaseResult
from collbench.results.records import Record

Panel = tuple[object, ...]


def panel_of(record: Record) -> Panel:
    """The columns that the rows of one table or chart share: all but size and backend."""
    return (
        record.collective, record.dtype, record.op, record.ranks, record.nodes, record.fabric, record.mode,
        record.in_place, record.cache, record.gpus_per_node, record.pair, record.groups, order(record.skew),
        record.hidden,
    )  # fmt: skip


def title_of(record: Record) -> str:
    """A panel's title: collective, rows, type, ranks and nodes, fabric, mode, skew."""
    virtual = "virtual " if record.fabric.endswith(VIRTUAL) else ""
    what = filter(None, [record.collective, rows_words(record.hidden), record.dtype, record.op])
    network = f" ({record.fabric})" if record.fabric else ""
    where = f"{_counted(record.ranks, 'rank')} on {_counted(record.nodes, f'{virtual}node')}{network}"
    where = " · ".join(filter(None, [where, groups_words(record.groups), record.pair]))
    how = [record.mode, *(["cold"] if record.cache == "cold" else [])]
    how += filter(None, ["in place" if record.in_place else "", skew_words(record.skew)])
    return " · ".join([*what, where, *how])


def groups_words(groups: int | None) -> str:
    """Of how many groups side by side a case is, in words; "" for one."""
    return f"{groups} groups at once" if groups else ""


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def panels(results: Iterable[CaseResult]) -> dict[Panel, list[CaseResult]]:
    """Cases by panel, the panels sorted. A case whose launches used several fabrics is split into the panels of these;
    each part keeps the status of the whole case."""
    found: dict[Panel, list[CaseResult]] = {}
    for case in results:
        rows: dict[Panel, list[Record]] = {}
        for row in case.rows:
            rows.setdefault(panel_of(row), []).append(row)
        for panel, part in rows.items():
            found.setdefault(panel, []).append(replace(case, rows=tuple(part)))
    return dict(sorted(found.items(), key=lambda item: tuple((value is None, value) for value in item[0])))


def rows_of(results: Iterable[CaseResult]) -> list[Record]:
    """The rows of these cases, in their order."""
    return [row for case in results for row in case.rows]


def labels_of(records: Sequence[Record]) -> list[str]:
    """For the first record of each of several panels, the words that tell it from the others: "" where nothing does."""
    words = [
        (
            record.mode, record.dtype, _counted(record.ranks, "rank"), _counted(record.nodes, "node"),
            record.collective, record.op, record.fabric, record.cache, "in place" if record.in_place else "",
            "uneven" if record.gpus_per_node is None else "", record.pair,
            rows_words(record.hidden), groups_words(record.groups), skew_words(record.skew),
        )
        for record in records
    ]  # fmt: skip
    differ = [index for index, column in enumerate(zip(*words, strict=True)) if len(set(column)) > 1]
    return [" · ".join(filter(None, (row[index] for index in differ))) for row in words]
