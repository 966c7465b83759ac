"""Records as text: tables for a terminal, and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal

from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.mismatch import mismatches
from collbench.results.pairs import fastest
from collbench.results.panels import panels, rows_of, title_of
from collbench.results.records import Record
from collbench.tables import Table, aligned, show_us


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
    """The table of a panel: size, median latency (microseconds) of each backend, the fastest with those that cannot be
    told from it (``a ≈ b``), and the bus bandwidth of the first."""
    at = {(case.record.bytes, case.record.backend): case for case in results}
    ran = [place for place, case in at.items() if case.status != "skipped"]
    backends = sorted({name for _, name in ran})
    table = [["size", *(f"{name} µs" for name in backends), "fastest", "busbw GB/s"]]
    for size in sorted({size for size, _ in ran}):
        row = [at.get((size, name)) for name in backends]
        table.append([format_size(size), *map(show_case, row), *_winner(filter(None, row))])
    return table


def _winner(row: Iterable[CaseResult]) -> list[str]:
    found = fastest(row)
    if found is None:
        return ["", ""]
    return [" ≈ ".join(case.record.backend for case in (found.best, *found.ties)), _show_gb_s(found.best)]


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
    """Every panel as a titled table, then mismatches, then reasons for missing latencies."""
    groups = panels(cases(records)).values()
    tables = [(title_of(group[0].record), latency_table(group)) for group in groups]
    parts = [f"{title}\n\n{aligned(table)}" for title, table in tables if len(table) > 1]
    warnings = [f"MISMATCH: {words}" for words in mismatches(map(rows_of, groups))]
    return "\n\n".join([*parts, *warnings, *filter(None, [why_not(records)])])


def as_json(records: Iterable[Record]) -> str:
    """Records as a JSON array; missing values are null."""
    return json.dumps([dataclasses.asdict(record) for record in records], indent=1, allow_nan=False)
