"""Records to text: the terminal table, Markdown, JSON. The last place, where human units appear."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import median

from collbench.plan.sizes import format_size
from collbench.results.mismatch import mismatches
from collbench.results.panels import _bad, median_us, panels, title_of
from collbench.results.records import Record
from collbench.tables import Table, aligned, markdown, show_us


def _show_gb_s(records: Sequence[Record]) -> str:
    values = [record.busbw_gb_s for record in records if record.busbw_gb_s is not None]
    return f"{Decimal(f'{median(values):.3g}'):f}" if values else ""


def _cell(records: Sequence[Record]) -> str:
    value = median_us(records)
    bad = _bad(records)
    if bad:
        return bad[0].upper()
    if value is not None:
        return show_us(value)
    return records[0].status if records else ""


def _columns(records: Sequence[Record]) -> list[str]:
    return sorted({record.backend for record in records if record.status != "skipped"})


def latency_table(records: Sequence[Record]) -> Table:
    """Rows of one panel: size, median latency of each backend in microseconds, bus bandwidth of the fastest."""
    backends = _columns(records)
    table = [["size", *(f"{name} µs" for name in backends), "fastest", "busbw GB/s"]]
    for size in sorted({record.bytes for record in records if record.status != "skipped"}):
        of_size = [record for record in records if record.bytes == size]
        cells = [[record for record in of_size if record.backend == name] for name in backends]
        timed = [(us, launches) for launches in cells if not _bad(launches) and (us := median_us(launches)) is not None]
        best = min(timed, key=lambda each: each[0], default=(0.0, []))[1]
        ends = [best[0].backend, _show_gb_s(best)] if best else ["", ""]
        table.append([format_size(size), *map(_cell, cells), *ends])
    return table


def why_not(records: Iterable[Record]) -> str:
    """One line for each reason for which cases have no number, and for each remark, with how many."""
    counts: dict[tuple[str, str, str], int] = {}
    for record in records:
        if record.reason:
            remark = record.reason.split(":")[0] if record.status == "ok" else record.reason
            key = (record.status, record.backend, " ".join(remark.split()))
            counts[key] = counts.get(key, 0) + 1
    return "\n".join(
        f"{'note' if status == 'ok' else status} ×{count}: {backend}: {reason}"
        for (status, backend, reason), count in sorted(counts.items())
    )


def results(records: Sequence[Record], as_markdown: bool = False) -> str:
    """Every panel as a titled table, then what makes ratios worthless, then why cases have no number."""
    parts = []
    tables = panels(records).values()
    for group in tables:
        table = latency_table(group)
        if len(table) > 1:
            parts.append(f"{title_of(group[0])}\n\n{markdown(table) if as_markdown else aligned(table)}")
    warnings = [f"MISMATCH: {words}" for words in mismatches(tables)]
    return "\n\n".join([*parts, *warnings, *filter(None, [why_not(records)])])


def as_json(records: Iterable[Record]) -> str:
    """Records as a JSON array; missing values are null."""
    return json.dumps([dataclasses.asdict(record) for record in records], indent=1)
