"""Charts of lines over size or ranks, from plain numbers; independent of records."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collbench.plan.sizes import format_size
from collbench.views import scales
from collbench.views.curves import DOTTED, PEAK, Curve, Flaw, draw, draw_bands, draw_flaws, keys
from collbench.views.page import Frame, balanced, new_figure
from collbench.views.palette import GREY


@dataclass(frozen=True)
class Lines:
    """The curves of one axes, and the cases that have no number."""

    curves: Sequence[Curve]
    flaws: Sequence[Flaw] = ()


@dataclass(frozen=True)
class Speedups:
    """Ratios over sizes, above 1 where faster; ``label`` says over what; ``noise``: the factor by which two runs of the
    same code may differ, shaded, or 1."""

    curves: Sequence[Curve]
    label: str
    noise: float = 1.0


def _ends(curves: Sequence[Curve]) -> list[float]:
    return scales.finite(itertools.chain.from_iterable((curve.low, curve.high) for curve in curves))


def _numbers(curves: Sequence[Curve]) -> list[float]:
    return scales.finite(curve.y for curve in curves)


def _label(axes: Axes, frame: Frame, text: str, height: float) -> None:
    """The label of the y axis, in lines that are no longer than ``height`` inches."""
    axes.set_ylabel("\n".join(balanced(text, height, frame.page.font)), parse_math=False)


def _draw_speedups(axes: Axes, frame: Frame, found: Speedups, height: float) -> None:
    axes.axhline(1, color=GREY, linewidth=1.2)
    if found.noise > 1:
        axes.axhspan(1 / found.noise, found.noise, color=GREY, alpha=0.13, linewidth=0)
    draw(axes, frame, found.curves)
    ratios = _numbers(found.curves)
    scales.ratio_axis(axes, ratios, _ends(found.curves))
    cut = "\nfar slower is cut off" if min(ratios) < scales.SLOWEST_SHOWN else ""
    _label(axes, frame, f"{found.label}\nabove 1 is faster{cut}", height)


def _draw_latency(axes: Axes, frame: Frame, lines: Lines, bounds: Sequence[Curve], height: float) -> None:
    for bound in bounds:
        if len(bound.x) > 1:
            axes.plot(bound.x, bound.y, **DOTTED)
        else:
            axes.axhline(bound.y[0], **DOTTED)  # a line of one point is not seen
    draw(axes, frame, lines.curves)
    scales.latency_axis(axes, [*_numbers([*lines.curves, *bounds]), *_ends(lines.curves)])
    draw_flaws(axes, frame, lines.curves, lines.flaws)
    banded = any(map(math.isfinite, (low for curve in lines.curves for low in curve.low)))
    _label(axes, frame, "latency (µs)" + "\nmedian and 5 to 95 % of samples" * banded, height)


def latency_chart(frame: Frame, lines: Lines, bounds: Sequence[Curve], speedups: Speedups) -> Figure:
    """Latency (microseconds) and its lower bounds over size (bytes); below, ``speedups``, if there are any."""
    legend = [*keys(frame, lines.curves, lines.flaws), *(Line2D([], [], label=each.name, **DOTTED) for each in bounds)]
    inches = frame.page.tall * (5.6 if speedups.curves else 3.8)
    figure = new_figure(frame, inches, legend)
    heights = [5, 3] if speedups.curves else [1]
    upper, *lower = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_latency(upper, frame, lines, bounds, 0.8 * inches * heights[0] / sum(heights))
    for axes in lower:
        _draw_speedups(axes, frame, speedups, 0.9 * inches * heights[1] / sum(heights))
    draw_bands(frame, [(upper, lines.curves), *((axes, speedups.curves) for axes in lower)])
    scales.size_axis([upper, *lower][-1], [x for curve in lines.curves for x in curve.x], frame.page)
    return figure


def bandwidth_chart(frame: Frame, lines: Lines, peaks: Mapping[str, float]) -> Figure:
    """Bus bandwidth (10**9 bytes per second) over size (bytes), and the peaks of links by their labels."""
    legend = [*keys(frame, lines.curves, lines.flaws), *(Line2D([], [], label=label, **PEAK) for label in peaks)]
    inches = 3.8 * frame.page.tall
    figure = new_figure(frame, inches, legend)
    axes = figure.subplots()
    draw(axes, frame, lines.curves)
    for peak in peaks.values():
        axes.axhline(peak, **PEAK)
    axes.set_ylim(0, max([*_numbers(lines.curves), *peaks.values()]) * 1.06)
    draw_flaws(axes, frame, lines.curves, lines.flaws)
    _label(axes, frame, "bus bandwidth (GB/s)\nmedian; GB = 10⁹ bytes", 0.8 * inches)
    scales.size_axis(axes, [x for curve in lines.curves for x in curve.x], frame.page)
    return figure


def scaling_chart(frame: Frame, by_size: Mapping[int, Lines], nodes: Mapping[int, int]) -> Figure:
    """Latency (microseconds) over the number of ranks, one panel for each of up to four sizes. ``nodes``: the number of
    nodes by number of ranks, empty to omit it."""

    def axis(axes: Axes, lines: Lines, width: float) -> None:
        scales.rank_axis(axes, sorted({x for curve in lines.curves for x in curve.x}), nodes)

    return _by_size(frame, by_size, axis)


def skew_chart(frame: Frame, by_size: Mapping[int, Lines], places: scales.Places) -> Figure:
    """Latency (microseconds) over skews at their ``places``, one panel for each of up to four sizes."""
    return _by_size(frame, by_size, lambda axes, _, width: scales.skew_axis(axes, places, width, frame.page))


def _by_size(frame: Frame, by_size: Mapping[int, Lines], axis: Callable[[Axes, Lines, float], None]) -> Figure:
    """A panel for each of up to four sizes, whose x axis ``axis`` sets for a width in inches."""
    columns = 1 if frame.page.width < 5 else 2 if len(by_size) in (2, 4) else len(by_size)
    rows = math.ceil(len(by_size) / columns)
    every = list(by_size.values())
    legend = keys(frame, [c for lines in every for c in lines.curves], [f for lines in every for f in lines.flaws])
    inches = 2.6 * max(frame.page.tall, 0.7)
    figure = new_figure(frame, 0.3 + inches * rows, legend)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (size, lines) in zip(grid.flat, by_size.items(), strict=True):
        _draw_latency(axes, frame, lines, (), 0.8 * inches)
        axis(axes, lines, frame.page.width / columns - 0.8)
        axes.set_title(format_size(size), fontsize=frame.page.font, loc="left")
    draw_bands(frame, [(axes, lines.curves) for axes, lines in zip(grid.flat, every, strict=True)])
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    for axes in grid[:-1].flat:
        axes.set_xlabel("")
    return figure
