"""Charts of series over nights: a pane for each size, a line for each backend, a mark where versions change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from collbench.plan.sizes import format_size
from collbench.results.series import Point, Series, date_of
from collbench.results.trends import LAST
from collbench.tables import show_us
from collbench.views import page
from collbench.views.curves import MOST_MARKERS
from collbench.views.history import few, few_launches, heading, losses
from collbench.views.naming import suffixes, words_of
from collbench.views.page import Frame, new_figure
from collbench.views.palette import GREY, RED, Style, styles

DATES: Any = dates  # its functions have no types
MOST_PANES = 6
MOST_MEANINGS = 6
MOST_NAMED = 3  # backends whose latency stands in the title of a pane
READING = (
    "A point is the median over the launches of a night (date: UTC), against the fastest level that its series held "
    "before with the versions of the last night. Dotted: the margin. Hollow: fewer launches than usual. ×: the case "
    "was wrong, failed or timed out. Red ring: both of the last two nights are slower."
)
FROM_NIGHTS = timedelta(hours=36)  # left and right of the outermost nights, so that one alone has days at its sides
LEAST_RANGE = 1.0  # per cent on either side: less would magnify noise
FEW_POINTS = 30  # so many have markers of the usual size
RING: Mapping[str, Any] = {
    "color": RED,
    "marker": "o",
    "markersize": 9,
    "fillstyle": "none",
    "linestyle": "",
    "clip_on": False,
}
WHITE: Mapping[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.4}
HOLLOW: Mapping[str, Any] = {"markerfacecolor": "white", "linestyle": ""}
CROSS: Mapping[str, Any] = {"marker": "x", "markeredgewidth": 1.6, "linestyle": ""}
MARK: Mapping[str, Any] = {"color": GREY, "linestyle": "--", "linewidth": 0.9}


@dataclass(frozen=True)
class Marks:
    """The dates on which versions change, each with its letter, and what the letters mean."""

    letters: Mapping[datetime, str]
    meanings: tuple[str, ...]


def draw_all(series: Sequence[Series], folder: Path, stem: str) -> list[Path]:
    """Draw a chart for each machine and panel into ``folder``, as PNG and SVG files named after ``stem``; returns their
    paths.

    Raises UsageError if they cannot be written, and OutputError on a full disk.
    """
    groups: dict[tuple[str, ...], list[Series]] = {}
    for each in series:
        groups.setdefault((*words_of(each.record), each.machine), []).append(each)
    paths: list[Path] = []
    with page.look():
        for suffix, group in zip(suffixes(list(groups)), groups.values(), strict=True):
            paths += page.save(chart(group), folder / f"{stem}-history{suffix}")
    return paths


def chart(group: Sequence[Series]) -> Figure:
    """The chart of the series of one machine and panel (at least one), for up to MOST_PANES sizes."""
    sizes = sizes_shown(group)
    shown = [each for each in group if each.record.bytes in sizes]
    looks = styles(each.record.backend for each in shown)
    marks = _marks(shown)
    names = sorted({each.record.backend for each in shown})
    keys = [Line2D([], [], color=looks[name][0], marker=looks[name][1], label=name) for name in names]
    columns = min(2, len(sizes))
    rows = math.ceil(len(sizes) / columns)
    figure = new_figure(Frame(heading(group[0]), _foot(group, sizes, marks), looks, _warning(group)), 2.1 * rows, keys)
    grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True).flat)
    for axes, size in zip(grid, sizes, strict=False):
        _pane(axes, [each for each in shown if each.record.bytes == size], looks, marks)
    for axes in grid[len(sizes) :]:
        axes.remove()
    _date_axes(grid[: len(sizes)], columns, [point.time for each in shown for point in each.points])
    return figure


def sizes_shown(group: Sequence[Series]) -> list[int]:
    """Up to MOST_PANES sizes: those with a slower case first, then others spread evenly; in their order."""
    every = sorted({each.record.bytes for each in group})
    chosen = sorted({each.record.bytes for each in group if each.is_slower})[:MOST_PANES]
    others = [size for size in every if size not in chosen]
    room = min(MOST_PANES - len(chosen), len(others))
    places = [round(place * (len(others) - 1) / max(room - 1, 1)) for place in range(room)]
    return sorted([*chosen, *(others[place] for place in places)])


def _marks(group: Iterable[Series]) -> Marks:
    found: dict[datetime, dict[str, None]] = {}
    for each in group:
        for change in each.changes:
            found.setdefault(change.point.time, {}).setdefault(f"{date_of(change.point)} {change.words}")
    letters = {time: _letters(place) for place, time in enumerate(sorted(found))}
    return Marks(letters, tuple(f"{letters[time]}: {'; '.join(found[time])}" for time in sorted(found)))


def _letters(place: int) -> str:
    """a to z, then aa, ab, ..."""
    first, last = divmod(place, 26)
    return (_letters(first - 1) if first else "") + chr(ord("a") + last)


def _foot(group: Sequence[Series], sizes: Sequence[int], marks: Marks) -> str:
    every = {each.record.bytes for each in group}
    part = f" {len(sizes)} of {len(every)} sizes; --only bytes=SIZE selects others." if len(sizes) < len(every) else ""
    last = ", ".join(marks.meanings[-MOST_MEANINGS:])
    dots = "..., " if len(marks.meanings) > MOST_MEANINGS else ""
    return "\n".join([f"{READING}{part}", *([f"Versions: {dots}{last}."] if last else [])])


def _warning(group: Iterable[Series]) -> str:
    slower = losses(group)
    return f"Slower: {few(slower)}" if slower else ""


def _pane(axes: Axes, group: Sequence[Series], styles: Mapping[str, Style], marks: Marks) -> None:
    for time, letters in marks.letters.items():
        axes.axvline(DATES.date2num(time), **MARK)
        axes.text(DATES.date2num(time), 1.0, f" {letters}", transform=axes.get_xaxis_transform(), va="top", fontsize=8)
    for each in group:
        _line(axes, each, styles[each.record.backend])
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_title(_title(group), fontsize=9, loc="left")
    axes.margins(y=0.12)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -LEAST_RANGE), max(high, LEAST_RANGE))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g} %" if value else "0"))


def _title(group: Sequence[Series]) -> str:
    """The size, and the last latency of each of a few backends."""
    last = [f"{each.record.backend} {show_us(each.timed[-1].us or 0.0)}" for each in group]
    size = format_size(group[0].record.bytes)
    return f"{size} · {', '.join(last)} µs" if len(last) <= MOST_NAMED else size


def _line(axes: Axes, series: Series, style: Style) -> None:
    """The points of a series, its margin, and marks of the nights without a point."""
    colour, marker = style
    size = 5.0 if len(series.timed) <= FEW_POINTS else 3.5
    look: dict[str, Any] = {"color": colour, "markersize": size, "linewidth": 1.1}
    _plot(axes, series, series.timed, marker=marker if len(series.timed) <= MOST_MARKERS else "", **WHITE, **look)
    _plot(axes, series, few_launches(series), marker=marker, **HOLLOW, **look)
    if series.judgement:
        axes.axhline(100 * series.judgement.margin, color=colour, linestyle=":", linewidth=1.1)
    if series.is_slower:
        _plot(axes, series, series.alike[-LAST:], **RING)
    if series.untimed:
        places = [0.04] * len(series.untimed)
        axes.plot(_days(series.untimed), places, color=colour, transform=axes.get_xaxis_transform(), **CROSS)


def _plot(axes: Axes, series: Series, points: Sequence[Point], **look: Any) -> None:
    if points:
        axes.plot(_days(points), changes_of(series, points), **look)


def changes_of(series: Series, points: Iterable[Point]) -> list[float]:
    """Points as per cent of what the series is compared with; without a verdict, of its median; NaN without a
    latency."""
    known = [point.us for point in series.alike if point.us is not None]
    reference = series.judgement.before_us if series.judgement else median(known)
    return [100 * ((point.us or math.nan) / reference - 1) for point in points]


def _days(points: Iterable[Point]) -> list[float]:
    return [float(DATES.date2num(point.time)) for point in points]


def _date_axes(grid: Sequence[Axes], columns: int, times: Sequence[datetime]) -> None:
    """Few dates, so that they do not overlap, below the lowest pane of each column."""
    first, last = DATES.date2num(min(times) - FROM_NIGHTS), DATES.date2num(max(times) + FROM_NIGHTS)
    locator = DATES.AutoDateLocator(minticks=2, maxticks=5, interval_multiples=True)
    grid[0].set_xlim(float(first), float(last))
    grid[0].xaxis.set_major_locator(locator)
    grid[0].xaxis.set_major_formatter(DATES.ConciseDateFormatter(locator))
    for axes in grid[-columns:]:
        axes.tick_params(labelbottom=True)
    for axes in grid[::columns]:
        axes.set_ylabel("latency against before")
