"""Records as text: tables for a terminal, and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal

from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.mismatch import mismatches
from collbench.results.pairs import Fastest, fastest
from collbench.results.panels import panels, rows_of, title_of
from collbench.results.records import Record
from collbench.tables import Table, aligned, show_us
from collbench.views import winners


def _show_gb_s(case: CaseResult) -> str:
    value = case.median("busbw_gb_s")
    return "" if value is None else f"{Decimal(f'{value:.3g}'):f}"


def show_case(case: CaseResult | None) -> str:
    """The median latency in microseconds; without one the status, in capitals if the case is bad."""
    if case is None:
        return ""
    value = case.median()
    return case.status.upper() if case.is_bad else case.record.status if value is None else show_us(value)


def latency_table(results: Iterable[CaseResult]) -> Table:
    """The table of a panel: size, median latency (microseconds) of each backend, the fastest with those that may be as
    fast (``a ≈ b``), and the bus bandwidth of the first. If launches are too few for a verdict at any size, the
    heading says so; if only at some, ``?`` marks these."""
    at = {(case.record.bytes, case.record.backend): case for case in results}
    ran = [place for place, case in at.items() if case.status != "skipped"]
    backends = sorted({name for _, name in ran})
    best = fastest(at.values())
    table = [["size", *(f"{name} µs" for name in backends), winners.heading(best.values(), "fastest"), "busbw GB/s"]]
    verdicts = winners.has_verdicts(best.values())
    for size in sorted({size for size, _ in ran}):
        row = [at.get((size, name)) for name in backends]
        table.append([format_size(size), *map(show_case, row), *_winner(best.get(size), verdicts)])
    return table


def _winner(found: Fastest | None, among_verdicts: bool) -> list[str]:
    if found is None:
        return ["", ""]
    names = " ≈ ".join(case.record.backend for case in (found.best, *found.ties))
    guess = "? " if winners.mark(found, among_verdicts) == "?" else ""
    return [guess + names, _show_gb_s(found.best)]


def _reading(groups: Iterable[Iterable[CaseResult]]) -> str:
    """How the fastest of these panels were determined; "" if there are no verdicts."""
    tables = [fastest(group).values() for group in groups]
    found = [each for table in tables if winners.has_verdicts(table) for each in table]
    return "\n".join(winners.reading(found, "table", "a ≈ b", "?"))


def why_not(records: Iterable[Record]) -> str:
    """One line for each reason for missing latencies and for each remark, with the number of rows."""
    counts: dict[tuple[str, str], int] = {}
    for record in records:
        if record.reason:
            remark = record.reason.split(":")[0] if record.status == "ok" else record.reason
            words = " ".join(remark.split())
            key = (record.status, words if record.is_job else f"{record.backend}: {words}")
            counts[key] = counts.get(key, 0) + 1
    return "\n".join(
        f"{'note' if status == 'ok' else status} ×{count}: {words}" for (status, words), count in sorted(counts.items())
    )


def results(records: Sequence[Record]) -> str:
    """Every panel as a titled table, then how to read them, mismatches, and reasons for missing latencies."""
    groups = panels(cases(records)).values()
    tables = [(title_of(group[0].record), latency_table(group)) for group in groups]
    parts = [f"{title}\n\n{aligned(table)}" for title, table in tables if len(table) > 1]
    warnings = [f"MISMATCH: {words}" for words in mismatches(map(rows_of, groups))]
    return "\n\n".join(filter(None, [*parts, _reading(groups), *warnings, why_not(records)]))


def as_json(records: Iterable[Record]) -> str:
    """Records as a JSON array; missing values are null."""
    return json.dumps([dataclasses.asdict(record) for record in records], indent=1, allow_nan=False)
