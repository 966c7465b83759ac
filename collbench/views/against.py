"""Cases against a site's published figures: a table for each panel, and values for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.sizes import format_size
from collbench.results.against import APART, MARGIN, Against, Judged, Verdict
from collbench.results.panels import Panel, panel_of, title_of
from collbench.tables import Page, Table, counted, notes_of, numbers, show_us, table_of, words
from collbench.views.differences import Facts, differences


def page(judged: Judged, facts: Facts) -> Page:
    """A titled table for each panel with its source; what differs, how to read the verdicts, what is missing, and the
    verdicts counted. ``facts``: of the launches."""
    groups: dict[Panel, list[Against]] = {}
    for row in judged.rows:
        groups.setdefault(panel_of(row.case.record), []).append(row)
    differ = ["What differs:", *(f"- {each}" for each in differences(judged, facts))]
    notes = notes_of(differ, _without(judged), [_reading(judged.rows)], _cure(judged))
    return Page(tuple(_table(judged, rows) for rows in groups.values()), notes, _result(judged))


def _table(judged: Judged, rows: Sequence[Against]) -> Table:
    record = rows[0].case.record
    ordered = sorted(rows, key=lambda row: row.case.record.bytes)
    has_sockets = any(row.sockets_us for row in rows)
    latencies = [f"{judged.backend} µs", "published µs", *["sockets µs"] * has_sockets]
    heads = ["size", *latencies, "bus GB/s", "published GB/s", "factor"]
    columns = [*numbers(*heads), *words("verdict")]
    title = f"{title_of(record)} · {judged.backend} against {judged.site.name}"
    return table_of(title, columns, [_cells(row, has_sockets) for row in ordered], _source(judged, rows), [
        f"no verdict: {format_size(row.case.record.bytes)}: {_why(row)}" for row in ordered if row.us is None
    ])  # fmt: skip


def _source(judged: Judged, rows: Sequence[Against]) -> list[str]:
    """Where the figures are from, and those of sockets."""
    figures = rows[0].figures
    sockets = judged.site.sockets(figures)
    named = [("Published", figures), *([("Sockets", sockets)] if sockets else [])]
    return [f"{what}: {each.source}, {each.date}, {each.tool}, {each.gpu}, {each.network}." for what, each in named]


def _cells(row: Against, has_sockets: bool) -> list[str]:
    sockets = [show_us(row.sockets_us) if row.sockets_us else ""] * has_sockets
    mine = ("", "", row.case.status.upper()) if row.us is None else (show_us(row.us), f"{row.factor:.2f}", row.verdict)
    us, factor, verdict = (str(cell) for cell in mine)
    busbw, published = _busbw(row, row.us), _busbw(row, row.published_us)
    return [format_size(row.case.record.bytes), us, show_us(row.published_us), *sockets,
            "" if busbw is None else f"{busbw:.2f}", f"{published:.2f}", factor, verdict]  # fmt: skip


def _busbw(row: Against, us: float | None) -> float | None:
    """Bus bandwidth in 10**9 bytes a second, as nccl-tests counts it."""
    record = row.case.record
    return record.bytes / us / 1000 * COLLECTIVES[record.collective].bus_factor(record.ranks) if us else None


def _why(row: Against) -> str:
    return f"{row.case.status} {row.case.reason}".strip()


def _without(judged: Judged) -> list[str]:
    """The sizes that were measured and not published."""
    sizes = ", ".join(map(format_size, judged.without))
    return [f"No figure is published for {sizes}."] if sizes else []


def _reading(rows: Sequence[Against]) -> str:
    reading = f"as published: within a factor of {MARGIN}, since a published figure is one run"
    if any(row.sockets_us for row in rows):
        reading += (
            f"; looks like sockets: nearer to them, as all sizes together are, where they take {APART:g} times as long "
            "or more"
        )
    return f"{reading}."


def _cure(judged: Judged) -> list[str]:
    found = any(row.verdict is Verdict.SOCKETS for row in judged.rows)
    return [f"What to look at where it looks like sockets: {judged.site.cure}."] if found and judged.site.cure else []


def _result(judged: Judged) -> str:
    """The verdicts, counted."""
    counts = Counter(row.verdict for row in judged.rows)
    said = [f"{verdict} at {counts[verdict]}" for verdict in Verdict if counts[verdict]]
    said += [f"no verdict at {counts[None]}"] * bool(counts[None])
    return f"{judged.backend} against {judged.site.name}: {', '.join(said)} of {counted(len(judged.rows), 'case')}"


def plain(judged: Judged, facts: Facts) -> list[dict[str, object]]:
    """A row for each case, latencies in microseconds, ``factor`` being here over published; missing values are None.

    ``latency`` is the statistic here, ``differs`` what else is unlike, the same in all rows.
    """
    differ = differences(judged, facts)
    return [{**_plain(judged, row), "differs": differ} for row in judged.rows]


def _plain(judged: Judged, row: Against) -> dict[str, object]:
    record, figures = row.case.record, row.figures
    names = ("backend", "collective", "dtype", "op", "bytes", "ranks", "nodes", "fabric", "mode", "in_place")
    return {
        **{name: getattr(record, name) for name in names},
        "site": judged.site.name, "us": row.us, "published_us": row.published_us, "sockets_us": row.sockets_us,
        "busbw_gb_s": _busbw(row, row.us), "published_busbw_gb_s": _busbw(row, row.published_us), "factor": row.factor,
        "verdict": row.verdict, "status": row.case.status, "reason": row.case.reason or None,
        "launches": len({(each.run_id, each.launch) for each in row.case.rows if each.status == "ok"}),
        "source": figures.source, "date": str(figures.date), "tool": figures.tool, "statistic": figures.statistic,
    }  # fmt: skip
