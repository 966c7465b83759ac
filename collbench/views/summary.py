"""Records as tables, and as values for JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from decimal import Decimal

from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.mismatch import mismatches
from collbench.results.pairs import Fastest, fastest
from collbench.results.panels import panels, rows_of, title_of
from collbench.results.records import Record
from collbench.tables import Page, Table, notes_of, numbers, table_of, words
from collbench.views import links, multicast, skews, winners
from collbench.views.cells import show_case


def _show_gb_s(case: CaseResult) -> str:
    value = case.median("busbw_gb_s")
    return "" if value is None else f"{Decimal(f'{value:.3g}'):f}"


def latency_table(results: Iterable[CaseResult], title: str = "") -> Table:
    """The table of a panel: size, median latency (microseconds) of each backend, the fastest with those that may be as
    fast (``a ≈ b``), and the bus bandwidth of the first. If launches are too few for a verdict at any size, the
    heading says so; if only at some, ``?`` marks these."""
    at = {(case.record.bytes, case.record.backend): case for case in results}
    ran = [place for place, case in at.items() if case.status != "skipped"]
    backends = sorted({name for _, name in ran})
    best = fastest(at.values())
    verdicts = winners.has_verdicts(best.values())
    rows = [
        [format_size(size), *(show_case(at.get((size, name))) for name in backends), *_winner(best.get(size), verdicts)]
        for size in sorted({size for size, _ in ran})
    ]
    latencies = numbers("size", *(f"{name} µs" for name in backends))
    fastest_of_all = words(winners.heading(best.values(), "fastest"))
    return table_of(title, [*latencies, *fastest_of_all, *numbers("busbw GB/s")], rows)


def _winner(found: Fastest | None, among_verdicts: bool) -> list[str]:
    if found is None:
        return ["", ""]
    names = " ≈ ".join(case.record.backend for case in (found.best, *found.ties))
    guess = "? " if winners.mark(found, among_verdicts) == "?" else ""
    return [guess + names, _show_gb_s(found.best)]


def _reading(groups: Iterable[Iterable[CaseResult]]) -> list[str]:
    """How the fastest of these panels were determined; [] if there are no verdicts."""
    tables = [fastest(group).values() for group in groups]
    found = [each for table in tables if winners.has_verdicts(table) for each in table]
    return winners.reading(found, "table", "a ≈ b", "?")


def why_not(records: Iterable[Record]) -> list[str]:
    """One line for each reason for missing latencies and for each remark, with the number of rows."""
    counts: dict[tuple[str, str], int] = {}
    for record in records:
        if record.reason:
            remark = record.reason.split(":")[0] if record.status == "ok" else record.reason
            text = " ".join(remark.split())
            key = (record.status, text if record.is_job else f"{record.backend}: {text}")
            counts[key] = counts.get(key, 0) + 1
    return [
        f"{'note' if status == 'ok' else status} ×{count}: {text}" for (status, text), count in sorted(counts.items())
    ]


def panel_page(group: Sequence[CaseResult]) -> Page:
    """One panel (at least one case) as its table, with the notes that concern it."""
    rows = rows_of(group)
    warnings = [[f"MISMATCH: {text}"] for text in mismatches([rows])]
    reasons = [f"- {line}" for line in why_not(rows)]
    notes = notes_of(_reading([group]), *warnings, multicast.remark(rows), reasons)
    table = latency_table(group, title_of(group[0].record))
    return Page((table,) if table.rows else (), notes)


def page(records: Sequence[Record], closing: Sequence[str] = ()) -> Page:
    """Every panel as a titled table; how to read them, mismatches, reasons for missing latencies, then ``closing``."""
    found = cases(records)
    groups = panels(case for case in found if not case.record.pair).values()
    together = [group for group in groups if not group[0].record.skew]
    late, pairs = skews.tables(found), links.tables(found)
    tables = [*(latency_table(group, title_of(group[0].record)) for group in together), *late, *pairs]
    warnings = [[f"MISMATCH: {text}"] for text in mismatches(map(rows_of, groups))]
    said = [*_reading(together), *([skews.READING] if late else [])]
    notes = notes_of(said, *warnings, multicast.remark(records), why_not(records), closing)
    return Page(tuple(table for table in tables if table.rows), notes)


def plain(records: Iterable[Record]) -> list[dict[str, object]]:
    """A dictionary of all columns for each record; missing values are None."""
    return [dataclasses.asdict(record) for record in records]
