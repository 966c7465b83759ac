"""Lines of latencies and other columns, as plain numbers: one for each backend of each run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from collbench.fit.measured import range_of
from collbench.report.charts import Line, Pane, Point
from collbench.report.looks import Looks
from collbench.results.cases import CaseResult
from collbench.results.facts import Facts
from collbench.results.panels import rows_of
from collbench.results.records import Record
from collbench.results.verdicts import FEWEST_LAUNCHES
from collbench.views import footing
from collbench.views.groups import Sides, every
from collbench.views.origins import origin_of

CROSS = "×: no latency, as pointing at it says; its height has no meaning."
BAND = "5 to 95 % of samples"
Place = Callable[[CaseResult], float]  # of a case on the axis


@dataclass(frozen=True)
class Artist:
    """What all charts of a page share: looks, facts of rows, the names of two runs, whether there are so few rows that
    every launch is drawn and every ratio listed, and what backends are compared with, "" for the usual baseline."""

    looks: Looks
    facts: Mapping[Record, Facts]
    runs: tuple[str, str] = ("", "")
    every_launch: bool = True
    every_ratio: bool = True
    baseline: str = ""

    @property
    def are_two(self) -> bool:
        """Whether there are two runs."""
        return bool(self.runs[0])

    def dashed(self, place: int) -> bool:
        """Whether the lines of the run at ``place`` are dashed: those of the first of two."""
        return self.are_two and place == 0


def latency_pane(artist: Artist, sides: Sides, at: Place, title: str = "", tall: int = 260) -> Pane:
    """The latencies of all backends of each run."""
    lines = [line for place, side in enumerate(sides) for line in latencies(artist, side, at, artist.dashed(place))]
    interval = f"95 % {'over launches' if _are_several(every(sides)) else 'in this launch'}"
    what = "latency" if footing.has_foreign(rows_of(every(sides))) else "median"
    return Pane("latency (µs)", "µs", what, lines, title, BAND, interval, tall=tall)


def latencies(artist: Artist, side: Iterable[CaseResult], at: Place, dashed: bool) -> list[Line]:
    """A line for each backend that was not skipped in all cases: median over launches, percentiles of the samples,
    interval, and each launch; a case without a latency has its status and reason."""
    group = list(side)
    several = _are_several(group)

    def point(case: CaseResult) -> Point:
        y, launches = case.median(), len(case.timed)
        if y is None:
            return Point(at(case), None, words=f"{case.status}: {case.reason}" if case.is_bad else "")
        ends = (case.median("latency_us_p05"), case.median("latency_us_p95"))
        interval = range_of(case) if launches >= FEWEST_LAUNCHES or not several else None
        each = [row.latency_us_median for row in case.timed if row.latency_us_median is not None]
        shown = tuple(each) if artist.every_launch and launches > 1 else ()
        return Point(at(case), y, *ends, launches, interval=interval, each=shown)

    return _lines(artist, group, point, dashed)


def medians(artist: Artist, side: Iterable[CaseResult], at: Place, column: str, dashed: bool) -> list[Line]:
    """A line for each backend that has a number in this column."""

    def point(case: CaseResult) -> Point:
        y = case.median(column)
        return Point(at(case), y, launches=None if y is None else len(case.timed))

    return _lines(artist, list(side), point, dashed)


def _lines(artist: Artist, group: list[CaseResult], point: Callable[[CaseResult], Point], dashed: bool) -> list[Line]:
    found: dict[str, list[Point]] = {}
    for case in group:
        if case.status != "skipped":
            found.setdefault(case.record.backend, []).append(point(case))
    lines = ((name, sorted(points, key=lambda each: each.x)) for name, points in sorted(found.items()))
    return [
        Line(name, artist.looks.backend(name), points, dashed)
        for name, points in lines
        if any(each.y is not None or each.words for each in points)
    ]


def _are_several(group: Iterable[CaseResult]) -> bool:
    """Whether any case has several launches."""
    return any(len(case.timed) > 1 for case in group)


def sources_of(artist: Artist, sides: Sides) -> list[str]:
    """Where the numbers of each run come from, a sentence for each; of other tools, what they are; of crosses, too."""
    names = [f"{name}: " for name in artist.runs] if artist.are_two else [""]
    known = ((name, rows_of(side)) for name, side in zip(names, sides, strict=True) if side)
    said = footing.remark([row for side in sides for row in rows_of(side)])
    crosses = [CROSS] if any(case.is_bad for case in every(sides)) else []
    return [*crosses, *(f"{name}{origin_of(rows, artist.facts)}." for name, rows in known), *said]
