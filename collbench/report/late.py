"""The chart of late ranks: latency from the last and from the first arrival against skew, as plain numbers."""

from __future__ import annotations

from dataclasses import replace

from collbench.plan.sizes import format_size
from collbench.report.charts import Axis, Chart, Line, Pane
from collbench.report.curves import Artist, Place, latencies, latency_pane, medians, sources_of
from collbench.results.cases import CaseResult
from collbench.views import skew_chart
from collbench.views.groups import Sides, every, rows_in
from collbench.views.numbers import of_size
from collbench.views.scales import skew_places
from collbench.views.skews import FIRST, skew_of
from collbench.views.titles import title_of


def late_chart(artist: Artist, name: str, sides: Sides) -> Chart:
    """A pane for each of up to four sizes; of two runs there is only the latency from the last arrival."""
    group = every(sides)
    places = skew_places(sorted({skew_of(case).us for case in group}))

    def at(case: CaseResult) -> float:
        return places[skew_of(case).us]

    def pane(size: int) -> Pane:
        part = tuple(of_size(side, size) for side in sides)
        if artist.are_two:
            return latency_pane(artist, part, at, format_size(size), 170)
        lines = _of_one(artist, part[0], at)
        return replace(latency_pane(artist, part, at, format_size(size), 170), lines=lines)

    axis = Axis("skew (µs)", "log", tuple((place, f"{skew:,g}") for skew, place in places.items()))
    panes = [pane(size) for size in skew_chart.sizes_shown(group)]
    title = skew_chart.heading(sides) + title_of(rows_in(sides), artist.facts)
    reading = " ".join([skew_chart.reading(sides), *sources_of(artist, sides)])
    strokes = artist.runs if artist.are_two else skew_chart.STYLES
    return Chart(name, title, axis, {"": panes}, reading, strokes)


def _of_one(artist: Artist, side: list[CaseResult], at: Place) -> list[Line]:
    """Dashed with the waiting, solid without."""
    return [*medians(artist, side, at, FIRST, True), *latencies(artist, side, at, False)]
