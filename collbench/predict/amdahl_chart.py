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
from collbench.views.palette import GREY

PAPER = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.75, "linewidth": 0}  # lines pass behind


@dataclass(frozen=True)
class Point:
    """A prediction: its source and nodes, the share of communication of the baseline, and the speed-up."""

    source: str
    nodes: int
    share: Range
    speedup: Range


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
    for point in points:
        _point(axes, frame, point)
    axes.set_xlim(0, 1)
    axes.set_ylim(0.9, max(3.75, *(1.05 * point.speedup.value for point in points)))
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
    colour, marker = frame.styles[point.source]
    share, speedup = point.share, point.speedup
    axes.plot([share.low, share.high], [speedup.value] * 2, color=colour, linewidth=1, alpha=0.5)
    axes.plot([share.value] * 2, [speedup.low, speedup.high], color=colour, linewidth=1, alpha=0.5)
    axes.plot([share.value], [speedup.value], color=colour, marker=marker, markeredgecolor="white", zorder=4)
    words = f"{point.nodes} node{'s' * (point.nodes != 1)}"
    axes.annotate(words, (share.value, speedup.value), (-5, 5), textcoords="offset points", ha="right",
                  fontsize=frame.page.small, color=colour, bbox=PAPER)  # fmt: skip
