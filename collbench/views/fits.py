"""A chart of fits: laws with their ranges over size through what was measured, and below the errors of predictions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from collbench.views import scales
from collbench.views.curves import Curve, keys
from collbench.views.page import Frame, Key, balanced, new_figure
from collbench.views.palette import GREY

SPREAD = 1.06  # between the marks of two backends at one size, which would hide each other


def fit_chart(frame: Frame, laws: Sequence[Curve], measured: Sequence[Curve], errors: Sequence[Curve]) -> Figure:
    """Laws with their bands and ``measured`` latencies (microseconds) over size (bytes); below, where there are any,
    ``errors``: measured over predicted latency at sizes that were held out."""
    legend: list[Key] = [
        *keys(frame, measured), Line2D([], [], color=GREY, label="model"),
        Patch(facecolor=GREY, alpha=0.25, label="95 % range of a prediction"),
    ]  # fmt: skip
    for key in legend[: len(measured)]:
        key.set_linestyle("")  # what was measured are marks
    inches = frame.page.tall * (5.6 if errors else 3.8)
    figure = new_figure(frame, inches, legend)
    heights = [5, 3] if errors else [1]
    upper, *lower = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_laws(upper, frame, laws, measured, 0.8 * inches * heights[0] / sum(heights))
    for axes in lower:
        _draw_errors(axes, frame, errors, 0.9 * inches * heights[1] / sum(heights))
    scales.size_axis([upper, *lower][-1], [x for curve in measured for x in curve.x], frame.page)
    figure.align_ylabels()
    return figure


def _draw_laws(axes: Axes, frame: Frame, laws: Sequence[Curve], measured: Sequence[Curve], height: float) -> None:
    for law in laws:
        colour = frame.styles[law.name][0]
        paper, edge = to_rgba(colour, 0.16), to_rgba(colour, 0.5)  # edges show whose each of several bands is
        axes.fill_between(law.x, law.low, law.high, facecolor=paper, edgecolor=edge, linewidth=0.6)
        axes.plot(law.x, law.y, color=colour)
    for curve in measured:
        _mark(axes, frame, curve, 1.0)
    every = [values for curve in (*laws, *measured) for values in (curve.y, curve.low, curve.high)]
    scales.latency_axis(axes, scales.finite(every))
    axes.set_ylabel("\n".join(balanced("latency (µs)\nmeasured, and by the model", height, frame.page.font)))


def _draw_errors(axes: Axes, frame: Frame, errors: Sequence[Curve], height: float) -> None:
    axes.axhline(1, color=GREY, linewidth=1.2)
    for place, curve in enumerate(errors):
        _mark(axes, frame, curve, SPREAD ** (place - (len(errors) - 1) / 2))
    ratios = list(itertools.chain.from_iterable(curve.y for curve in errors))
    scales.ratio_axis(axes, ratios, ratios)
    axes.set_ylabel("\n".join(balanced("measured ÷ predicted\nsize held out", height, frame.page.font)))


def _mark(axes: Axes, frame: Frame, curve: Curve, beside: float) -> None:
    colour, marker = frame.styles[curve.name]
    places = [x * beside for x in curve.x]
    axes.plot(places, curve.y, color=colour, marker=marker, markeredgecolor="white", markeredgewidth=0.6, linestyle="")
