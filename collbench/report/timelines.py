"""The section of history: cases over nights, as `collbench history` judges them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC

from collbench.plan.sizes import format_size
from collbench.report.charts import Axis, Chart, Line, Pane, Point
from collbench.report.curves import CROSS, Artist
from collbench.report.markup import joined, tag
from collbench.report.sections import Gallery, Section
from collbench.report.tables import page_html
from collbench.results import series as nightly
from collbench.results.series import Series, date_of
from collbench.results.trends import LAST
from collbench.tables import show_us
from collbench.views import history, timelines

READING = (
    "A point is the median over the launches of a night (UTC), against the fastest level that its series held before "
    "with the versions of the last night. Pointing at it shows its commit, and versions that changed."
)


def history_section(artist: Artist, series: Sequence[Series], gallery: Gallery) -> Section:
    """The result, a chart for each machine and panel, and the tables."""
    groups: dict[str, list[Series]] = {}
    for each in series:
        groups.setdefault(history.heading(each), []).append(each)
    page = history.page(series)
    charts = [gallery.add(artist, _chart(artist, gallery.name(), group)) for group in groups.values()]
    is_bad = bool(history.losses(series))
    result = tag("p", page.result, class_="bad" if is_bad else None)
    return Section("history", "History", joined([result, *charts, page_html(page)]), ((page.result, is_bad),))


def _chart(artist: Artist, name: str, group: Sequence[Series]) -> Chart:
    sizes = timelines.sizes_shown(group)
    panes = [_pane(artist, size, [each for each in group if each.record.bytes == size]) for size in sizes]
    dates = {_milliseconds(point): date_of(point) for each in group for point in each.points}
    crosses = f" {CROSS}" if any(each.untimed for each in group) else ""
    axis = Axis("night", "time", tuple(sorted(dates.items())))
    return Chart(name, history.heading(group[0]), axis, {"": panes}, f"{READING}{crosses}")


def _milliseconds(point: nightly.Point) -> float:
    return point.time.astimezone(UTC).timestamp() * 1000


def _pane(artist: Artist, size: int, group: Sequence[Series]) -> Pane:
    margins = [100 * each.judgement.margin for each in group if each.judgement]
    rules = (0.0, *([max(margins)] if margins else []))
    least = (-timelines.LEAST_RANGE, timelines.LEAST_RANGE)
    lines = [_line(artist, each) for each in group]
    title = format_size(size)
    return Pane("against before (%)", "%", "change", lines, title, log=False, rules=rules, least=least, tall=150)


def _line(artist: Artist, series: Series) -> Line:
    changes = timelines.changes_of(series, series.points)
    versions = {change.point.time: change.words for change in series.changes}
    late = {point.time for point in series.alike[-LAST:]} if series.is_slower else set()
    points = [
        Point(_milliseconds(point), None if math.isnan(change) else change, launches=point.launches,
              words=_words(point, versions.get(point.time, ""), point.time in late))
        for point, change in zip(series.points, changes, strict=True) if point.us is not None or point.case.is_bad
    ]  # fmt: skip
    return Line(series.record.backend, artist.looks.backend(series.record.backend), points)


def _words(point: nightly.Point, versions: str, is_slower: bool) -> str:
    us = f"{show_us(point.us)} µs" if point.us is not None else f"{point.case.status}: {point.case.reason}"
    commit = f"commit {point.night.commit}" if point.night.commit else ""
    return ", ".join(filter(None, [us, commit, versions, "slower" if is_slower else ""]))
