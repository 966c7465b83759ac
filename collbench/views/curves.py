"""Lines of a chart from plain numbers: bands or bars, marks of cases that went wrong, and keys for the legend."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from collbench.views.page import Frame, Key
from collbench.views.palette import GREY

MOST_MARKERS = 100  # more would hide their line
MOST_BARS = 40
SHORTEST = 0.02  # of the height of the axes; shorter bars hide behind their marker
SPREAD = 0.26  # of the distance between sizes, at most a doubling, over which the bars of one size are spread
DOTTED: Mapping[str, Any] = {"color": GREY, "linestyle": ":", "linewidth": 1.2}
PEAK: Mapping[str, Any] = {"color": GREY, "linestyle": (0, (6, 2, 1, 2)), "linewidth": 1.2}
# Marks of cases without a latency, which no line has; hollow or strokes, so that they do not pass for points of one.
FLAWS: Mapping[str, str] = {"wrong": "x", "failed": "$!$", "timeout": "8"}
CALLED = {"timeout": "timed out"}


@dataclass(frozen=True)
class Curve:
    """One line of a chart: ``y`` over ``x``, NaN at gaps, and the band from ``low`` to ``high``, if any. ``dashed``: of
    the first of two runs."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Flaw:
    """A case that was wrong, failed or timed out: its backend, its place on the axis and its status."""

    name: str
    x: float
    status: str
    dashed: bool = False


def keys(frame: Frame, curves: Iterable[Curve], flaws: Iterable[Flaw] = ()) -> list[Key]:
    """The legend: a key for every backend, for the line styles of two runs, and for every status in ``flaws``."""
    marked = list(flaws)
    names = sorted({*(curve.name for curve in curves), *(flaw.name for flaw in marked)})
    looks = {name: frame.styles[name] for name in names}
    lines = [Line2D([], [], color=colour, marker=marker, label=name) for name, (colour, marker) in looks.items()]
    runs = [Line2D([], [], color=GREY, label=run, **_stroke(at == 0)) for at, run in enumerate(frame.runs)]
    statuses = sorted({flaw.status for flaw in marked})
    marks = [Line2D([], [], color=GREY, label=CALLED.get(each, each), **_mark(each)) for each in statuses]
    return [*lines, *runs, *marks]


def _stroke(dashed: bool) -> dict[str, Any]:
    return {"linestyle": (0, (4, 1.5)) if dashed else "-"}


def _mark(status: str) -> dict[str, Any]:
    marker = FLAWS.get(status, "$?$")
    width = 0.6 if marker.startswith("$") else 1.8
    return {"linestyle": "", "marker": marker, "markersize": 9, "markerfacecolor": "white" if marker == "8" else GREY,
            "markeredgewidth": width}  # fmt: skip


def draw(axes: Axes, frame: Frame, curves: Iterable[Curve]) -> None:
    """Draw lines with their markers, those of the first of two runs dashed and hollow."""
    for curve in curves:
        colour, marker = frame.styles[curve.name]
        marker = marker if len(curve.x) <= MOST_MARKERS else ""
        face, edge = ("white", colour) if curve.dashed else (colour, "white")
        marks: dict[str, Any] = {"marker": marker, "markerfacecolor": face, "markeredgecolor": edge}
        axes.plot(curve.x, curve.y, color=colour, markeredgewidth=0.6, **marks, **_stroke(curve.dashed))


def draw_bands(frame: Frame, panels: Iterable[tuple[Axes, Sequence[Curve]]]) -> None:
    """Draw the bands of the lines in all axes of a figure; where any overlap, all as bars, which show whose they are,
    and there beside each other. Limits of the axes must be set: bars that would hide behind a marker are left out."""
    banded = [(axes, [curve for curve in curves if curve.low]) for axes, curves in panels]
    few = all(len(curve.x) <= MOST_BARS for _, curves in banded for curve in curves)
    crossing = [_overlap(axes, curves) for axes, curves in banded]
    crowded = few and any(crossing)
    for (axes, curves), crosses in zip(banded, crossing, strict=True):
        for place, curve in enumerate(curves):
            colour = frame.styles[curve.name][0]
            if crowded:
                x = _shifted(curve.x, place, len(curves)) if crosses else curve.x
                _bars(axes, curve, colour, x, range(len(x)))
            else:
                axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
                _bars(axes, curve, colour, curve.x, _isolated(curve.y))  # a band needs two points


def _is_visible(axes: Axes, low: float, high: float) -> bool:
    """Whether an interval is higher than a marker, on a logarithmic axis."""
    bottom, top = axes.get_ylim()
    return math.isfinite(low) and math.log(high / low) > SHORTEST * math.log(top / bottom)


def _overlap(axes: Axes, curves: Sequence[Curve]) -> bool:
    """Whether the visible bands of two curves have a value in common at some place."""
    ends = [zip(curve.x, curve.low, curve.high, strict=True) for curve in curves]
    bands = [{x: (low, high) for x, low, high in each if _is_visible(axes, low, high)} for each in ends]
    return any(
        one[x][0] <= other[x][1] and other[x][0] <= one[x][1]
        for one, other in itertools.combinations(bands, 2)
        for x in one.keys() & other.keys()
    )


def _shifted(x: Sequence[float], place: int, count: int) -> list[float]:
    """The places of the bars of one curve among ``count``, beside those of the others on a logarithmic axis."""
    gap = min([math.log(2), *(math.log(b / a) for a, b in itertools.pairwise(x))])
    return [each * math.exp(SPREAD * gap * ((place + 0.5) / count - 0.5)) for each in x]


def _bars(axes: Axes, curve: Curve, colour: str, x: Sequence[float], places: Iterable[int]) -> None:
    """Pale bars at ``places``, behind lines and markers."""
    shown = [at for at in places if _is_visible(axes, curve.low[at], curve.high[at])]
    if shown:
        x, low, high = ([values[at] for at in shown] for values in (x, curve.low, curve.high))
        axes.vlines(x, low, high, color=colour, linewidth=3.5, alpha=0.35, zorder=1.5)


def _isolated(y: Sequence[float]) -> list[int]:
    """Indices of numbers between two gaps."""
    gaps = [True, *map(math.isnan, y), True]
    return [index for index in range(len(y)) if gaps[index] and not gaps[index + 1] and gaps[index + 2]]


def draw_flaws(axes: Axes, frame: Frame, curves: Iterable[Curve], flaws: Iterable[Flaw]) -> None:
    """Mark cases without a number at their place: on the line between its neighbours, where the line would pass, or at
    the foot of the axes for a backend without a line. Limits of the axes must be set."""
    lines = {(curve.name, curve.dashed): curve for curve in curves}
    bottom: dict[float, int] = {}
    for flaw in flaws:
        curve = lines.get((flaw.name, flaw.dashed))
        y, transform = (_between(curve, flaw.x) if curve else None), axes.transData
        if y is None:
            bottom[flaw.x] = bottom.get(flaw.x, 0) + 1
            y, transform = 0.09 * bottom[flaw.x] - 0.04, axes.get_xaxis_transform()
        axes.plot(
            [flaw.x], [y], color=frame.styles[flaw.name][0], transform=transform, zorder=4, **_coloured(frame, flaw)
        )


def _coloured(frame: Frame, flaw: Flaw) -> dict[str, Any]:
    mark = _mark(flaw.status)
    return mark if mark["markerfacecolor"] == "white" else {**mark, "markerfacecolor": frame.styles[flaw.name][0]}


def _between(curve: Curve, x: float) -> float | None:
    """Where the line would pass at ``x`` on logarithmic axes, or the nearest number of it; None if it has none."""
    known = [(math.log(place), math.log(y)) for place, y in zip(curve.x, curve.y, strict=True) if y > 0]
    if not known:
        return None
    places, heights = zip(*known, strict=True)
    return math.exp(float(np.interp(math.log(x), places, heights)))
