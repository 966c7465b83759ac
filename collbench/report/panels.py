"""Charts of one panel, as plain numbers: latency with speed-ups, bus bandwidth, and latency over ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collbench.fit.measured import range_of
from collbench.plan.sizes import format_size
from collbench.report.charts import Axis, Chart, Line, Pane, Point
from collbench.report.looks import Looks
from collbench.results.cases import CaseResult
from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.results.verdicts import FEWEST_LAUNCHES, RUNS_DIFFER, Ratio
from collbench.views import numbers, speedups
from collbench.views.comparison import default_baseline
from collbench.views.conclusions import OPPOSITE
from collbench.views.curves import Curve
from collbench.views.figures import BANDWIDTH, LATENCIES
from collbench.views.groups import Sides, every, rows_in, scaling_sizes
from collbench.views.numbers import cells_of, names_of_cells, of_size, sizes_of
from collbench.views.origins import origin_of
from collbench.views.palette import GREY
from collbench.views.titles import title_of

BOUND = "lower bound"
LATENCY, BUS = "latency and speed-up", "bus bandwidth"
BAND = "5 to 95 % of samples"


@dataclass(frozen=True)
class Artist:
    """What all charts of a page share: looks, facts of rows, the names of two runs, and whether there are so few rows
    that every launch is drawn."""

    looks: Looks
    facts: Mapping[Record, Facts]
    runs: tuple[str, str] = ("", "")
    every_launch: bool = True

    @property
    def are_two(self) -> bool:
        """Whether there are two runs."""
        return bool(self.runs[0])

    def dashed(self, place: int) -> bool:
        """Whether the lines of the run at ``place`` are dashed: those of the first of two."""
        return self.are_two and place == 0


def panel_chart(artist: Artist, name: str, sides: Sides) -> Chart:
    """Latency over size and the speed-ups below it; bus bandwidth where it is known."""
    sizes = sizes_of(every(sides))
    below, words = _speedups(artist, sides, sizes)
    views = {LATENCY: [_latency(artist, sides, "bytes"), *below]}
    if bandwidth := _lines(artist, sides, "bytes", "busbw_gb_s"):
        views[BUS] = [Pane("bus bandwidth (GB/s)", "GB/s", "median", bandwidth, log=False, least=(0, 0), tall=340)]
    axis = Axis("size of the message", "log", tuple((size, format_size(size)) for size in sizes))
    reading = " ".join(filter(None, [f"{LATENCIES} {words}", BANDWIDTH if bandwidth else "", *_sources(artist, sides)]))
    return Chart(name, title_of(rows_in(sides), artist.facts), axis, views, reading, artist.runs)


def scaling_chart(artist: Artist, name: str, sides: Sides) -> Chart:
    """Latency over the number of ranks, a pane for each of up to four sizes."""
    sizes = scaling_sizes(every(sides))
    parts = {size: tuple(of_size(side, size) for side in sides) for size in sizes}
    panes = [_latency(artist, part, "ranks", format_size(size), 170) for size, part in parts.items()]
    ranks = sorted({case.record.ranks for part in parts.values() for case in every(part)})
    axis = Axis("ranks", "log", tuple((count, str(count)) for count in ranks))
    title = title_of(rows_in(sides), artist.facts)
    return Chart(name, title, axis, {"": panes}, " ".join([LATENCIES, *_sources(artist, sides)]), artist.runs)


def _sources(artist: Artist, sides: Sides) -> list[str]:
    """Where the numbers of each run come from."""
    names = [f"{name}: " for name in artist.runs] if artist.are_two else [""]
    found = zip(names, sides, strict=True)
    return [
        f"{name}{origin_of([row for case in side for row in case.rows], artist.facts)}." for name, side in found if side
    ]


def _latency(artist: Artist, sides: Sides, x: str, title: str = "", tall: int = 260) -> Pane:
    lines = _lines(artist, sides, x, "latency_us_median")
    several = any(len(case.timed) > 1 for case in every(sides))
    interval = f"95 % {'over launches' if several else 'in this launch'}"
    bounds = [_bound(artist, curve) for curve in numbers.bounds(rows_in(sides), sizes_of(every(sides))) if x == "bytes"]
    return Pane("latency (µs)", "µs", "median", [*lines, *bounds], title, BAND, interval, tall=tall)


def _bound(artist: Artist, curve: Curve) -> Line:
    points = [Point(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
    return Line(BOUND, artist.looks.place((GREY, "_")), points)


def _lines(artist: Artist, sides: Sides, x: str, column: str) -> list[Line]:
    """A line for each backend of each run that has a number in this column, over the column ``x``."""
    found = []
    for place, side in enumerate(sides):
        for name in sorted({case.record.backend for case in side}):
            mine = [case for case in side if case.record.backend == name and case.status != "skipped"]
            points = [
                _point(artist, case, x, column) for case in sorted(mine, key=lambda case: getattr(case.record, x))
            ]
            if any(point.y is not None or (point.words and column == "latency_us_median") for point in points):
                found.append(Line(name, artist.looks.backend(name), points, artist.dashed(place)))
    return found


def _point(artist: Artist, case: CaseResult, x: str, column: str) -> Point:
    at, y, launches = getattr(case.record, x), case.median(column), len(case.timed)
    if y is None:
        return Point(at, None, words=f"{case.status}: {case.reason}" if case.is_bad else "")
    if column != "latency_us_median":
        return Point(at, y, launches=launches)
    ends = (case.median("latency_us_p05"), case.median("latency_us_p95"))
    interval = None if 1 < launches < FEWEST_LAUNCHES else range_of(case)
    each = [row.latency_us_median for row in case.timed if row.latency_us_median is not None]
    return Point(
        at, y, *ends, launches, interval=interval, each=tuple(each) if artist.every_launch and launches > 1 else ()
    )


def _speedups(artist: Artist, sides: Sides, sizes: Sequence[int]) -> tuple[list[Pane], str]:
    """The pane of speed-ups over a baseline, or of two runs over the first; and how to read it."""
    cells = [cells_of(side) for side in sides]
    base = default_baseline(names_of_cells(cells[-1])) or ""
    found = speedups.gains(*cells) if artist.are_two else speedups.speedups(cells[0], base)
    over = artist.runs[0] if artist.are_two else base
    lines = [_ratios(artist, name, ratios, over, sizes) for name, ratios in found.items()]
    shade = (1 / (1 + RUNS_DIFFER), 1 + RUNS_DIFFER) if artist.are_two else None
    interval = "95 % over launches"
    what = f"speed-up over {over}"
    pane = Pane("speed-up", "×", what, lines, interval=interval, rules=(1,), shade=shade, tall=170)
    return ([pane] if lines else []), speedups.reading(found)


def _ratios(artist: Artist, name: str, ratios: Mapping[int, Ratio], over: str, sizes: Iterable[int]) -> Line:
    points = [_speedup(size, ratios[size], over) for size in sizes if size in ratios]
    return Line(name, artist.looks.backend(name), points)


def _speedup(size: int, ratio: Ratio, over: str) -> Point:
    known = OPPOSITE.get(ratio.verdict)  # the ratio is of the other's latency
    words = f"{known} than {over}" if known else ratio.verdict
    return Point(size, ratio.value, ratio.low, ratio.high, ratio.launches, words)
