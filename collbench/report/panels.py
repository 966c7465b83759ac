"""Charts of one panel, as plain numbers: latency with speed-ups, bus bandwidth, and latency over ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from collbench.plan.sizes import format_size
from collbench.report.charts import Axis, Chart, Line, Pane, Point
from collbench.report.curves import Artist, latency_pane, medians, sources_of
from collbench.results.cases import CaseResult
from collbench.results.verdicts import RUNS_DIFFER, Ratio
from collbench.views import numbers, speedups
from collbench.views.comparison import default_baseline
from collbench.views.conclusions import OPPOSITE
from collbench.views.curves import Curve
from collbench.views.figures import BANDWIDTH, latencies_words
from collbench.views.groups import Sides, every, rows_in, scaling_sizes
from collbench.views.numbers import cells_of, names_of_cells, of_size, sizes_of
from collbench.views.palette import GREY
from collbench.views.titles import title_of

BOUND = "lower bound"
LATENCY, ALONE, BUS = "latency and speed-up", "latency", "bus bandwidth"


def panel_chart(artist: Artist, name: str, sides: Sides) -> Chart:
    """Latency over size and the speed-ups below it; bus bandwidth where it is known."""
    sizes = sizes_of(every(sides))
    below, words = _speedups(artist, sides, sizes)
    latency = latency_pane(artist, sides, _bytes)
    bounded = replace(latency, lines=[*latency.lines, *_bounds(artist, sides, sizes)])
    views = {LATENCY if below else ALONE: [bounded, *below]}
    if bandwidth := _bandwidths(artist, sides):
        views[BUS] = [Pane("bus bandwidth (GB/s)", "GB/s", "median", bandwidth, log=False, least=(0, 0), tall=340)]
    axis = Axis("size of the message", "log", tuple((size, format_size(size)) for size in sizes))
    reading = filter(None, [latencies_words(sides), words, BANDWIDTH if bandwidth else "", *sources_of(artist, sides)])
    return Chart(name, title_of(rows_in(sides), artist.facts), axis, views, " ".join(reading), artist.runs)


def scaling_chart(artist: Artist, name: str, sides: Sides) -> Chart:
    """Latency over the number of ranks, a pane for each of up to four sizes."""
    sizes = scaling_sizes(every(sides))
    parts = {size: tuple(of_size(side, size) for side in sides) for size in sizes}
    panes = [latency_pane(artist, part, _ranks, format_size(size), 170) for size, part in parts.items()]
    ranks = sorted({case.record.ranks for part in parts.values() for case in every(part)})
    axis = Axis("ranks", "log", tuple((count, str(count)) for count in ranks))
    title = title_of(rows_in(sides), artist.facts)
    return Chart(
        name, title, axis, {"": panes}, " ".join([latencies_words(sides), *sources_of(artist, sides)]), artist.runs
    )


def _bytes(case: CaseResult) -> float:
    return case.record.bytes


def _ranks(case: CaseResult) -> float:
    return case.record.ranks


def _bandwidths(artist: Artist, sides: Sides) -> list[Line]:
    return [
        line
        for place, side in enumerate(sides)
        for line in medians(artist, side, _bytes, "busbw_gb_s", artist.dashed(place))
    ]


def _bounds(artist: Artist, sides: Sides, sizes: Sequence[int]) -> list[Line]:
    return [_bound(artist, curve) for curve in numbers.bounds(rows_in(sides), sizes)]


def _bound(artist: Artist, curve: Curve) -> Line:
    points = [Point(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
    return Line(BOUND, artist.looks.place((GREY, "_")), points)


def _speedups(artist: Artist, sides: Sides, sizes: Sequence[int]) -> tuple[list[Pane], str]:
    """The pane of speed-ups over a baseline, or of two runs over the first; and how to read it."""
    cells = [cells_of(side) for side in sides]
    base = artist.baseline or default_baseline(names_of_cells(cells[-1])) or ""
    found = speedups.gains(*cells) if artist.are_two else speedups.speedups(cells[0], base)
    over = artist.runs[0] if artist.are_two else base
    lines = [_ratios(artist, name, ratios, over, sizes) for name, ratios in found.items()]
    shade = (1 / (1 + RUNS_DIFFER), 1 + RUNS_DIFFER) if artist.are_two else None
    interval = "95 % over launches"
    what = f"speed-up over {over}"
    pane = Pane("speed-up", "×", what, lines, interval=interval, rules=(1,), shade=shade, tall=170)
    chosen = [] if artist.are_two else speedups.choices(cells[0], base)
    return ([pane] if lines else []), " ".join([speedups.reading(found), *chosen])


def _ratios(artist: Artist, name: str, ratios: Mapping[int, Ratio], over: str, sizes: Iterable[int]) -> Line:
    points = [_speedup(size, ratios[size], over) for size in sizes if size in ratios]
    return Line(name, artist.looks.backend(name), points)


def _speedup(size: int, ratio: Ratio, over: str) -> Point:
    known = OPPOSITE.get(ratio.verdict)  # the ratio is of the other's latency
    words = f"{known} than {over}" if known else ratio.verdict
    return Point(size, ratio.value, ratio.low, ratio.high, ratio.launches, words)
