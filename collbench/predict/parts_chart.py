"""Bars of communication and computation for each number of nodes, from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from collbench.views.page import Frame, new_figure

DONE = "#c9c9c9"


@dataclass(frozen=True)
class Bar:
    """The parts of a decode step (microseconds) by a source, and its split."""

    source: str
    split: str
    communication: float
    compute: float


def parts_chart(frame: Frame, bars: Mapping[int, Sequence[Bar]]) -> Figure:
    """A group of bars for each number of nodes, computation below communication, with the share of communication above
    and the split below."""
    names = list(dict.fromkeys(bar.source for group in bars.values() for bar in group))
    keys = [Patch(facecolor=frame.styles[name][0], label=f"communication, {name}") for name in names]
    figure = new_figure(frame, 4.0, [*keys, Patch(facecolor=DONE, label="computation")])
    axes = figure.subplots()
    width, small = 0.84 / len(names), frame.page.small
    places, labels = [], []
    for at, group in enumerate(bars.values()):
        for bar in group:
            x = at + width * (names.index(bar.source) - (len(names) - 1) / 2)
            done, sent = bar.compute / 1e3, bar.communication / 1e3
            axes.bar(x, done, 0.92 * width, color=DONE)
            axes.bar(x, sent, 0.92 * width, bottom=done, color=frame.styles[bar.source][0])
            share = f"{100 * sent / (sent + done):.0f} %" if sent + done else ""
            axes.annotate(share, (x, sent + done), (0, 2), textcoords="offset points", ha="center", fontsize=small)
            places.append(x)
            labels.append(bar.split.replace(" × ", "\n"))
    axes.set_xticks(places, labels, fontsize=small)
    axes.set_xlim(-0.55, len(bars) - 0.45)
    lines = max(label.count("\n") for label in labels) + 1
    for at, nodes in enumerate(bars):
        title = f"{nodes} node{'s' * (nodes != 1)}"
        below = (0, -6 - 1.4 * small * lines)
        axes.annotate(title, (at, 0), below, xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                      ha="center", va="top")  # fmt: skip
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.08)
    axes.set_xlabel(" ")
    axes.set_ylabel("decode step (ms)")
    return figure
