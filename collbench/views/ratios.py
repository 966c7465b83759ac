"""Comparisons as text: a table for each panel and pair, for a terminal or in Markdown, or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult
from collbench.results.panels import title_of
from collbench.results.records import Record
from collbench.tables import Table, aligned, markdown, show_us
from collbench.views.comparison import Comparison, Comparisons, Unjudged
from collbench.views.summary import show_case

Row = Comparison | Unjudged


def show(found: Comparisons, form: str | None = None) -> str:
    """A titled table for each panel and pair, followed by reasons for missing verdicts; ``form`` may be ``markdown`` or
    ``json``."""
    if form == "json":
        return json.dumps([_finite(row) for row in plain(found)], indent=1, allow_nan=False)
    groups: dict[tuple[str, str, str], list[Row]] = {}
    rows: list[Row] = [*found.judged, *found.unjudged]
    for row in rows:
        groups.setdefault((title_of(row.record), row.a, row.b), []).append(row)
    drawn = markdown if form == "markdown" else aligned
    parts = []
    for (title, a, b), group in groups.items():
        parts += [f"{title} · {a} ÷ {b}\n\n{drawn(_table(group))}", *_reasons(group)]
    return "\n\n".join([*parts, *_only_in("AB", found.alone), *_warnings(found.judged), *_caution(found.judged)])


def _only_in(files: str, rows: Sequence[Unjudged]) -> list[str]:
    """A part for each of two files that has cases which the other lacks: their number and names."""
    mine, theirs = ([row for row in rows if row.a_case], [row for row in rows if row.b_case])
    return [_listed(name, only) for name, only in zip(files, (mine, theirs), strict=True) if only]


def _listed(name: str, rows: Sequence[Unjudged]) -> str:
    sizes: dict[str, list[int]] = {}
    for row in rows:
        sizes.setdefault(f"{row.record.backend}, {title_of(row.record)}", []).append(row.record.bytes)
    lines = [f"- {case}: {', '.join(map(format_size, sorted(found)))}" for case, found in sizes.items()]
    return "\n".join([f"{len(rows)} case{'s' * (len(rows) != 1)} only in {name}:", *lines])


def _warnings(rows: Sequence[Comparison]) -> list[str]:
    """Why ratios are not meaningful, without repeats."""
    return list(dict.fromkeys(f"MISMATCH: {row.mismatch}" for row in rows if row.mismatch))


def _table(rows: Sequence[Row]) -> Table:
    head = ["size", f"{rows[0].a} µs", f"{rows[0].b} µs", "ratio", "95 % interval", f"{rows[0].a} is"]
    return [head, *map(_cells, sorted(rows, key=lambda row: row.record.bytes))]


def _cells(row: Row) -> list[str]:
    size = format_size(row.record.bytes)
    if isinstance(row, Unjudged):
        return [size, show_case(row.a_case), show_case(row.b_case), "", "", "no verdict"]
    interval = f"{row.ratio.low:.3f} to {row.ratio.high:.3f}"
    return [size, show_us(row.a_us), show_us(row.b_us), f"{row.ratio.value:.3f}", interval, row.ratio.verdict]


def _reasons(rows: Iterable[Row]) -> list[str]:
    """One part with a line for each case without a verdict; [] if there are none."""
    missed = sorted((row for row in rows if isinstance(row, Unjudged)), key=lambda row: row.record.bytes)
    lines = [f"no verdict: {_reason(name, case)}" for row in missed for name, case in row.without]
    return ["\n".join(lines)] if lines else []


def _reason(name: str, case: CaseResult) -> str:
    why = f" ({' '.join(case.reason.split())})" if case.reason else ""
    return f"{name} {format_size(case.record.bytes)}: {case.status}{why}"


def _caution(rows: Sequence[Comparison]) -> list[str]:
    """What the intervals cover; [] if there are none."""
    if not rows:
        return []
    launches = min(row.ratio.launches for row in rows)
    what = "Of several launches, the ratio is the median of their ratios.\n" if rows[0].paired else ""
    if launches >= 6:
        return [f"{what}Intervals over {launches} launches hold for another launch too."]
    times = f"{launches} launch{'es' if launches > 1 else ''}"
    return [f"{what}Intervals inside {times}: another may differ by more than they say, six (--launches 6) tell."]


def plain(found: Comparisons) -> list[dict[str, object]]:
    """A row for each case, those with a verdict first: its columns, both sides and the ratio; missing values are None.

    ``a_us`` and ``b_us`` are medians over launches in microseconds, ``low`` and ``high`` the 95 % interval of the ratio
    ``value`` (``high`` may be infinite), ``a_status`` and ``b_status`` the status of the case on each side.
    """
    return [*map(_judged, found.judged), *map(_unjudged, [*found.unjudged, *found.alone])]


def _what(record: Record) -> dict[str, object]:
    names = ("collective", "dtype", "op", "bytes", "ranks", "nodes", "fabric", "mode", "in_place")
    return {**{name: getattr(record, name) for name in names}, "cache": record.cache}


def _judged(row: Comparison) -> dict[str, object]:
    sides = {"a": row.a, "b": row.b, "a_us": row.a_us, "b_us": row.b_us}
    ends = {"a_status": "ok", "b_status": "ok", "reason": None}
    verdict = {"verdict": row.ratio.verdict, "mismatch": row.mismatch or None}
    return {**_what(row.record), **sides, **asdict(row.ratio), **verdict, **ends}


def _unjudged(row: Unjudged) -> dict[str, object]:
    a_us, b_us = (case.median() if case else None for case in (row.a_case, row.b_case))
    a_status, b_status = (case.status if case else None for case in (row.a_case, row.b_case))
    sides = {"a": row.a, "b": row.b, "a_us": a_us, "b_us": b_us}
    missing = dict.fromkeys(("value", "low", "high", "launches", "verdict", "mismatch"))
    reason = "; ".join(_reason(name, case) for name, case in row.without) or f"only in {'A' if row.a_case else 'B'}"
    return {**_what(row.record), **sides, **missing, "a_status": a_status, "b_status": b_status, "reason": reason}


def _finite(row: dict[str, object]) -> dict[str, object]:
    """The row with infinities as None: JSON has no infinity."""
    return {name: None if isinstance(value, float) and math.isinf(value) else value for name, value in row.items()}
