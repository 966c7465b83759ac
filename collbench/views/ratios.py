"""Comparisons as a table for each panel and pair, and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collbench.plan.sizes import format_size
from collbench.plan.skew import order
from collbench.results.best import FEWEST, reading
from collbench.results.cases import CaseResult
from collbench.results.footing import kinds_of
from collbench.results.panels import Panel, panel_of, title_of
from collbench.results.records import Record
from collbench.results.verdicts import FEWEST_LAUNCHES
from collbench.tables import Page, Table, notes_of, numbers, show_us, table_of, words
from collbench.views import coverage
from collbench.views.cells import show_case
from collbench.views.comparison import Comparison, Comparisons, Unjudged

Row = Comparison | Unjudged
RATIO = ("value", "low", "high", "confidence", "together", "launches", "verdict")


def page(found: Comparisons, closing: Sequence[str] = ()) -> Page:
    """A titled table for each panel and pair with reasons for missing verdicts; how to read the ratios, then
    ``closing``."""
    groups: dict[tuple[Panel, str, str], list[Row]] = {}
    rows: list[Row] = [*found.judged, *found.unjudged]
    for row in sorted(rows, key=lambda row: order(row.record.skew)):
        groups.setdefault((panel_of(row.record), row.a, row.b), []).append(row)
    notes = [*_only_in("AB", found.alone), *_warnings(found.judged), _reading(found.judged), closing]
    return Page(tuple(map(_table, groups.values())), notes_of(*notes))


def _only_in(files: str, rows: Sequence[Unjudged]) -> list[list[str]]:
    """A note for each of two files that has cases which the other lacks: their number and names."""
    mine, theirs = ([row for row in rows if row.a_case], [row for row in rows if row.b_case])
    return [_listed(name, only) for name, only in zip(files, (mine, theirs), strict=True) if only]


def _listed(name: str, rows: Sequence[Unjudged]) -> list[str]:
    sizes: dict[str, list[int]] = {}
    for row in rows:
        sizes.setdefault(f"{row.record.backend}, {title_of(row.record)}", []).append(row.record.bytes)
    lines = [f"- {case}: {', '.join(map(format_size, sorted(found)))}" for case, found in sizes.items()]
    return [f"{len(rows)} case{'s' * (len(rows) != 1)} only in {name}:", *lines]


def _warnings(rows: Sequence[Comparison]) -> list[list[str]]:
    """Notes why ratios are not meaningful, without repeats."""
    return [[text] for text in dict.fromkeys(f"MISMATCH: {row.mismatch}" for row in rows if row.mismatch)]


def _table(rows: Sequence[Row]) -> Table:
    a, b = rows[0].a, rows[0].b
    ordered = sorted(rows, key=lambda row: row.record.bytes)
    best = dict.fromkeys(each.name for row in rows if isinstance(row, Comparison) for each in row.best)
    chosen = words(*(f"chosen for {name}" for name in best))
    columns = [*numbers("size", f"{a} µs", f"{b} µs", "ratio", "95 % over launches"), *words(f"{a} is"), *chosen]
    cells = [[*_cells(row), *_choices(row, len(best))] for row in ordered]
    return table_of(f"{title_of(rows[0].record)} · {a} ÷ {b}", columns, cells, _reasons(ordered))


def _choices(row: Row, count: int) -> list[str]:
    """What was chosen for each side that is the best of a family."""
    return [each.label for each in row.best] if isinstance(row, Comparison) else [""] * count


def _cells(row: Row) -> list[str]:
    size = format_size(row.record.bytes)
    if isinstance(row, Unjudged):
        return [size, show_case(row.a_case), show_case(row.b_case), "", "", "no verdict"]
    bounds = (row.ratio.low, row.ratio.high)
    interval = " to ".join(f"{bound:.3f}" for bound in bounds if bound is not None)
    return [size, show_us(row.a_us), show_us(row.b_us), f"{row.ratio.value:.3f}", interval, row.ratio.verdict]


def _reasons(rows: Iterable[Row]) -> list[str]:
    """A line for each case without a verdict."""
    missed = (row for row in rows if isinstance(row, Unjudged))
    return [f"no verdict: {_reason(name, case)}" for row in missed for name, case in row.without]


def _reason(name: str, case: CaseResult) -> str:
    why = f" ({' '.join(case.reason.split())})" if case.reason else ""
    return f"{name} {format_size(case.record.bytes)}: {case.status}{why}"


def _reading(rows: Sequence[Comparison]) -> list[str]:
    """How to read the ratios; [] if there are none."""
    best = [each for row in rows for each in row.best]
    needed = FEWEST if best else FEWEST_LAUNCHES
    return [*reading(best), *coverage.reading([row.ratio for row in rows], needed)] if rows else []


def plain(found: Comparisons, unlike: Sequence[str] = ()) -> list[dict[str, object]]:
    """A row for each case, those with a verdict first: its columns, both sides and the ratio; missing values are None.
    ``unlike``: why no ratio is meaningful.

    ``a_us`` and ``b_us`` are medians over launches in microseconds, ``low`` and ``high`` the interval of the ratio
    ``value`` at ``confidence``, ``covers`` what it holds for, ``together`` the number of sizes that are judged at once,
    ``a_status`` and ``b_status`` the status of the case on each side, ``a_latency`` and ``b_latency`` what the latency
    of each is, such as a mean over ranks.
    """
    judged = (_judged(row, " ".join(filter(None, [row.mismatch, *unlike]))) for row in found.judged)
    return [*judged, *map(_unjudged, [*found.unjudged, *found.alone])]


def _what(record: Record) -> dict[str, object]:
    names = ("collective", "dtype", "op", "bytes", "ranks", "nodes", "groups", "fabric", "mode", "in_place", "hidden",
             "skew")  # fmt: skip
    return {**{name: getattr(record, name) for name in names}, "cache": record.cache}


def _judged(row: Comparison, mismatch: str) -> dict[str, object]:
    sides = {"a": row.a, "b": row.b, "a_us": row.a_us, "b_us": row.b_us}
    chosen = "; ".join(f"{each.case.reason}{each.exceptions}" for each in row.best)
    ends = {"a_status": "ok", "b_status": "ok", "reason": chosen or None}
    found = {name: getattr(row.ratio, name) for name in RATIO}
    return {**_what(row.record), **sides, **found, "covers": row.ratio.covers or None,
            "mismatch": mismatch or None, **ends, **_kinds(*row.kinds)}  # fmt: skip


def _unjudged(row: Unjudged) -> dict[str, object]:
    a_us, b_us = (case.median() if case else None for case in (row.a_case, row.b_case))
    a_status, b_status = (case.status if case else None for case in (row.a_case, row.b_case))
    sides = {"a": row.a, "b": row.b, "a_us": a_us, "b_us": b_us}
    missing = dict.fromkeys((*RATIO, "covers", "mismatch"))
    reason = "; ".join(_reason(name, case) for name, case in row.without) or f"only in {'A' if row.a_case else 'B'}"
    kinds = _kinds(*(kinds_of(case.timed) if case else "" for case in (row.a_case, row.b_case)))
    ends = {"a_status": a_status, "b_status": b_status, "reason": reason}
    return {**_what(row.record), **sides, **missing, **ends, **kinds}


def _kinds(mine: str, theirs: str) -> dict[str, object]:
    return {"a_latency": mine or None, "b_latency": theirs or None}
