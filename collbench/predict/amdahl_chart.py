"""Speed-up of a step over its share of communication, from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collbench.predict.amdahl import CLAIMS, WHOLE, needed_share, step_speedup
from collbench.predict.outcome import Range
from collbench.views.page import Frame, Key, Page, inches, new_figure
from collbench.views.palette import GREY, PAPER
from collbench.views.titles import listed

QUIET: Mapping[str, Any] = {"color": GREY, "linestyle": ":", "linewidth": 0.9, "alpha": 0.7}
RING: Mapping[str, Any] = {"marker": "o", "color": "white", "markeredgecolor": "black"}


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
    figure = new_figure(frame, 4.6, _keys(frame, points))
    axes = figure.subplots()
    shares = np.linspace(0, 1, 201)
    for faster, label in CLAIMS.items():
        axes.plot(shares, [step_speedup(share, faster) for share in shares], color=GREY, linewidth=1.3)
        axes.annotate(
            f"s = {label}", (1, faster), (6, 0), textcoords="offset points", va="center", annotation_clip=False
        )
    axes.set_xlim(0, 1)
    speedups = [point.at(point.share.value) for point in points]
    axes.set_ylim(min(0.75, 0.85 * min(speedups)), max(3.75, 1.05 * max(speedups)))
    _claim(axes, frame)
    _guides(axes, frame, points)
    for point in points:
        _point(axes, frame, point)
    axes.set_xticks(np.linspace(0, 1, 11), [f"{each} %" for each in range(0, 101, 10)])
    axes.set_xlabel(f"f: share of communication in a decode step with {baseline}", parse_math=False)
    axes.set_ylabel("speed-up of the step", parse_math=False)
    return figure


def _keys(frame: Frame, points: Sequence[Point]) -> list[Key]:
    looks = {point.source: frame.styles[point.source] for point in points}
    return [
        *(Line2D([], [], color=colour, marker=marker, linewidth=1.2, label=name)
          for name, (colour, marker) in looks.items()),
        Line2D([], [], color=GREY, linewidth=1.3, label="collectives s times as fast"),
        Line2D([], [], linestyle="", label=f"f that {WHOLE}× needs", **RING),
    ]  # fmt: skip


def _claim(axes: Axes, frame: Frame) -> None:
    """The speed-up that the paper has, and the shares with which its speed-ups of a collective give it, which are named
    at the foot, clear of all curves; of two neighbours one is named on each side."""
    bottom, _ = axes.get_ylim()
    axes.axhline(WHOLE, color=GREY, linestyle=(0, (4, 2)), linewidth=1.2)
    axes.annotate(f"{WHOLE}×", (0, WHOLE), (4, 4), textcoords="offset points", fontsize=frame.page.font,
                  bbox=dict(PAPER))  # fmt: skip
    shares = [share for faster in CLAIMS if (share := needed_share(WHOLE, faster)) is not None]
    for share in shares:
        axes.vlines(share, bottom, WHOLE, color=GREY, linewidth=0.9)
        axes.plot([share], [WHOLE], zorder=5, **RING)
        side, across = ("right", -4) if share == min(shares) else ("left", 4)
        axes.annotate(f"f = {100 * share:.0f} %", (share, bottom), (across, 5), textcoords="offset points", ha=side,
                      fontsize=frame.page.small, bbox=dict(PAPER))  # fmt: skip


def _point(axes: Axes, frame: Frame, point: Point) -> None:
    """The point, and the range of its share along the curve of its collectives."""
    colour, marker = frame.styles[point.source]
    share, speedup = point.share.value, point.at(point.share.value)
    shares = np.linspace(point.share.low, point.share.high, 41)
    axes.plot(shares, [point.at(each) for each in shares], color=colour, linewidth=1.2, alpha=0.6)
    axes.plot([share], [speedup], color=colour, marker=marker, markeredgecolor="white", zorder=4)


def _guides(axes: Axes, frame: Frame, points: Sequence[Point]) -> None:
    """A line at the share of every number of nodes, which is named above the axes; those that would touch, together."""
    shares = sorted({(point.share.value, point.nodes) for point in points})
    for share, _ in shares:
        axes.axvline(share, **QUIET)
    for at, words in _together(shares, frame.page):
        axes.annotate(words, (at, 1), (0, 3), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                      ha="center", fontsize=frame.page.small)  # fmt: skip


def _together(shares: Sequence[tuple[float, int]], page: Page) -> list[tuple[float, str]]:
    """Where names of numbers of nodes stand, and the names; neighbours without room for both have one between them."""
    groups = [[each] for each in shares]
    at = 0
    while at + 1 < len(groups):
        (left, one), (right, other) = (_name(group) for group in groups[at : at + 2])
        room = (inches(one, page.small) + inches(other, page.small)) / 2 + 0.5 * page.em
        if (right - left) * (page.width - 1.5) < room:
            groups[at : at + 2] = [groups[at] + groups[at + 1]]
            at = max(at - 1, 0)
        else:
            at += 1
    return [_name(group) for group in groups]


def _name(group: Sequence[tuple[float, int]]) -> tuple[float, str]:
    """The middle of shares, and the name of their numbers of nodes."""
    nodes = {count for _, count in group}
    middle = sum(share for share, _ in group) / len(group)
    return middle, f"{listed(nodes)} node{'s' * (nodes != {1})}"
