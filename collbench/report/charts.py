"""Charts as plain numbers, which the script of the page draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collbench.report.looks import key
from collbench.report.markup import Html, joined, tag
from collbench.views.palette import Style


@dataclass(frozen=True)
class Point:
    """A number ``y`` at ``x``, drawn with a band or bar from ``low`` to ``high``; what is said of it when it is pointed
    at: the number of launches, ``words``, and its ``interval`` where that is not the band. ``y`` is None for a case
    without a number, which ``words`` explain; ``each`` are the numbers of its launches."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None
    launches: int | None = None
    words: str = ""
    interval: tuple[float, float] | None = None
    each: tuple[float, ...] = ()

    def plain(self, places: Mapping[float, int], words: dict[str, int]) -> list[Any]:
        """As JSON: ``x`` as its place among the ticks, ``words`` as theirs among those of a pane, which are added;
        without what is missing at the end."""
        said = words.setdefault(self.words, len(words)) if self.words else None
        ends = map(_short, self.interval or (None, None))
        each = [*map(_short, self.each)] or None
        cells: list[Any] = [
            places[self.x],
            *map(_short, (self.y, self.low, self.high)),
            self.launches,
            said,
            *ends,
            each,
        ]
        while cells[-1] is None:
            cells.pop()
        return cells


def _short(value: float | None) -> float | None:
    """Five significant digits, more than are shown."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.5g}")
    return int(short) if short.is_integer() else short


@dataclass(frozen=True)
class Line:
    """Points of one name, by ``x``, in the look of a style; ``dashed`` as those of the first of two runs."""

    name: str
    style: int
    points: Sequence[Point]
    dashed: bool = False

    def plain(self, places: Mapping[float, int], words: dict[str, int]) -> dict[str, Any]:
        """As JSON; the arguments are those of the points'."""
        points = [point.plain(places, words) for point in self.points]
        return {"n": self.name, "s": self.style, "d": self.dashed, "p": points}


@dataclass(frozen=True)
class Pane:
    """One pair of axes: ``y`` is its label and ``unit`` that of its numbers, ``what`` each of them is, ``interval``
    what the intervals are, ``band`` what the bands are, "" where these are the intervals. ``rules`` are lines across,
    ``shade`` a range that is shaded, ``least`` what a linear axis shows at least. ``bars``: no lines, but bars."""

    y: str
    unit: str
    what: str
    lines: Sequence[Line]
    title: str = ""
    band: str = ""
    interval: str = ""
    log: bool = True
    bars: bool = False
    rules: tuple[float, ...] = ()
    shade: tuple[float, float] | None = None
    least: tuple[float, float] | None = None
    tall: int = 260

    def plain(self, places: Mapping[float, int]) -> dict[str, Any]:
        """As JSON; ``places`` are those of x among the ticks."""
        words: dict[str, int] = {}
        lines = [
            {
                "n": each.name,
                "s": each.style,
                "d": each.dashed,
                "p": [point.plain(places, words) for point in each.points],
            }
            for each in self.lines
        ]
        names = ("y", "unit", "what", "title", "band", "interval", "log", "bars", "rules", "shade", "least", "tall")
        return {**{name: getattr(self, name) for name in names}, "lines": lines, "words": [*words]}


@dataclass(frozen=True)
class Axis:
    """The axis that panes share: its label, ``log`` or ``time`` (milliseconds), and its ticks with their labels, one
    for each place that has a point."""

    label: str
    kind: str
    ticks: tuple[tuple[float, str], ...]

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"label": self.label, "kind": self.kind, "ticks": self.ticks}


@dataclass(frozen=True)
class Chart:
    """A chart; ``views`` are the panes by the words of a choice, of which one is shown at a time; ``reading`` says how
    to read it; ``strokes`` what dashed and solid lines are, where there are both."""

    name: str
    title: str
    axis: Axis
    views: Mapping[str, Sequence[Pane]]
    reading: str
    strokes: tuple[str, str] = ("", "")

    def plain(self) -> dict[str, Any]:
        """As JSON, without its axis, which charts share."""
        places = {at: place for place, (at, _) in enumerate(self.axis.ticks)}
        views = [{"name": name, "panes": [pane.plain(places) for pane in panes]} for name, panes in self.views.items()]
        return {"title": self.title, "views": views, "strokes": self.strokes if self.strokes[0] else None}


def plain(charts: Sequence[Chart]) -> dict[str, Any]:
    """Charts by name and their axes as JSON; equal axes are there once."""
    axes = {axis: place for place, axis in enumerate(dict.fromkeys(chart.axis for chart in charts))}
    return {
        "axes": [axis.plain() for axis in axes],
        "charts": {chart.name: {**chart.plain(), "axis": axes[chart.axis]} for chart in charts},
    }


def figure_html(chart: Chart, styles: Sequence[Style]) -> Html:
    """Where the script draws the chart: switches for its names, a choice of views, and the caption."""
    parts = [_switches(chart, styles), _choice(chart), tag("div", class_="panes"), _numbers(chart)]
    title, caption = tag("p", chart.title, class_="title"), tag("figcaption", chart.reading)
    return tag("figure", title, *parts, caption, data_chart=chart.name, aria_label=f"Chart: {chart.title}")


def _switches(chart: Chart, styles: Sequence[Style]) -> Html:
    looks = {line.name: line.style for panes in chart.views.values() for pane in panes for line in pane.lines}
    boxes = [_switch(name, place, styles[place]) for name, place in sorted(looks.items())]
    strokes = [tag("span", f"dashed: {dashed}, solid: {solid}") for dashed, solid in [chart.strokes] if dashed]
    return tag("fieldset", tag("legend", "Shown"), *boxes, *strokes, class_="switches")


def _switch(name: str, place: int, style: Style) -> Html:
    box = tag("input", type="checkbox", checked=True, value=name)
    return tag("label", box, key(place, style), tag("span", name))


def _choice(chart: Chart) -> Html:
    if len(chart.views) < 2:
        return joined([])
    options = (tag("option", name, value=str(place)) for place, name in enumerate(chart.views))
    return tag("label", "Chart of ", tag("select", *options), class_="choice")


def _numbers(chart: Chart) -> Html:
    """The numbers behind the chart, which the script fills in when they are opened."""
    return tag("details", tag("summary", "Numbers of this chart"), class_="numbers")
