"""Speed-up of a step over its share of communication, from plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collbench.predict.amdahl import CLAIMS, WHOLE, needed_share, step_speedup
from collbench.predict.outcome import Range
from collbench.views.page import Frame, new_figure
from collbench.views.palette import GREY, PAPER

CLOSE = 0.08  # shares whose names would touch on one height


@dataclass(frozen=True)
class Point:
    """A prediction: its source and nodes, the share of communication of the baseline with its range, and how many times
    as fast communication is."""

    source: str
    nodes: int
    share: Range
    faster: float

    def at(self, share: float) -> float:
        """The speed-up of the step at a share of communication."""
        return step_speedup(share, self.faster)


def amdahl_chart(frame: Frame, baseline: str, points: Sequence[Point]) -> Figure:
    """Curves for the speed-ups of a collective that the paper has, its speed-up of a batch, and predictions."""
    looks = {point.source: frame.styles[point.source] for point in points}
    keys = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, (colour, marker) in looks.items()
    ]
    figure = new_figure(frame, 4.4, keys)
    axes = figure.subplots()
    shares = np.linspace(0, 1, 201)
    for faster, label in CLAIMS.items():
        axes.plot(shares, [step_speedup(share, faster) for share in shares], color=GREY, linewidth=1.3)
        axes.annotate(
            f"s = {label}", (1, faster), (6, 0), textcoords="offset points", va="center", annotation_clip=False
        )
    _claim(axes, frame)
    _guides(axes, frame, points)
    for point in points:
        _point(axes, frame, point)
    axes.set_xlim(0, 1)
    axes.set_ylim(0.9, max(3.75, *(1.05 * point.at(point.share.value) for point in points)))
    axes.set_xticks(np.linspace(0, 1, 11), [f"{each} %" for each in range(0, 101, 10)])
    axes.set_xlabel(f"f: share of communication in a decode step with {baseline}", parse_math=False)
    axes.set_ylabel("speed-up of the step", parse_math=False)
    return figure


def _claim(axes: Axes, frame: Frame) -> None:
    """The speed-up that the paper has, and the shares with which its speed-ups of a collective give it."""
    axes.axhline(WHOLE, color=GREY, linestyle=(0, (4, 2)), linewidth=1.2)
    axes.annotate(f"{WHOLE}×", (0, WHOLE), (4, 3), textcoords="offset points", fontsize=frame.page.font)
    shares = [share for faster in CLAIMS if (share := needed_share(WHOLE, faster)) is not None]
    for share in shares:
        axes.plot([share], [WHOLE], marker="o", color="white", markeredgecolor="black", zorder=5)
        side, shift = ("right", (-4, 5)) if share == min(shares) else ("left", (4, -11))
        axes.annotate(f"f = {100 * share:.0f} %", (share, WHOLE), shift, textcoords="offset points", ha=side,
                      fontsize=frame.page.small)  # fmt: skip


def _point(axes: Axes, frame: Frame, point: Point) -> None:
    """The point, and the range of its share along the curve of its collectives."""
    colour, marker = frame.styles[point.source]
    share, speedup = point.share.value, point.at(point.share.value)
    shares = np.linspace(point.share.low, point.share.high, 41)
    axes.plot(shares, [point.at(each) for each in shares], color=colour, linewidth=1.2, alpha=0.6)
    axes.plot([share], [speedup], color=colour, marker=marker, markeredgecolor="white", zorder=4)


def _guides(axes: Axes, frame: Frame, points: Sequence[Point]) -> None:
    """A line at the share of every number of nodes, which is named at its foot; neighbours on two heights."""
    shares = sorted({(point.share.value, point.nodes) for point in points})
    before, height = -1.0, 0
    for share, nodes in shares:
        height = 1 - height if share - before < CLOSE else 0
        before = share
        axes.axvline(share, color=GREY, linestyle=":", linewidth=1)
        words = f"{nodes} node{'s' * (nodes != 1)}"
        axes.annotate(words, (share, 0), (0, 4 + 11 * height), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha="center", fontsize=frame.page.small, bbox=dict(PAPER))  # fmt: skip
