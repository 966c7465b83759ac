"""Bars of communication and computation for each number of nodes, from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
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


@dataclass(frozen=True)
class _Bars:
    """The axes that bars of these sources stand on."""

    axes: Axes
    frame: Frame
    names: Sequence[str]

    @property
    def width(self) -> float:
        """Of a bar, where groups are one apart."""
        return 0.84 / len(self.names)

    def draw(self, group: int, bar: Bar) -> float:
        """Draw a bar with its share of communication above, and return its place."""
        x = group + self.width * (self.names.index(bar.source) - (len(self.names) - 1) / 2)
        done, sent = bar.compute / 1e3, bar.communication / 1e3
        self.axes.bar(x, done, 0.92 * self.width, color=DONE)
        self.axes.bar(x, sent, 0.92 * self.width, bottom=done, color=self.frame.styles[bar.source][0])
        share = f"{100 * sent / (sent + done):.0f} %" if sent + done else ""
        self.axes.annotate(share, (x, sent + done), (0, 2), textcoords="offset points", ha="center",
                           fontsize=self.frame.page.small)  # fmt: skip
        return x

    def name_groups(self, nodes: Sequence[int], lines: int) -> None:
        """The number of nodes of each group, below labels of so many lines."""
        below = (0, -6 - 1.4 * self.frame.page.small * lines)
        for at, count in enumerate(nodes):
            words = f"{count} node{'s' * (count != 1)}"
            self.axes.annotate(words, (at, 0), below, xycoords=self.axes.get_xaxis_transform(),
                               textcoords="offset points", ha="center", va="top")  # fmt: skip


def parts_chart(frame: Frame, bars: Mapping[int, Sequence[Bar]]) -> Figure:
    """A group of bars for each number of nodes, computation below communication, with the share of communication above
    and the split below."""
    names = list(dict.fromkeys(bar.source for group in bars.values() for bar in group))
    keys = [Patch(facecolor=frame.styles[name][0], label=f"communication, {name}") for name in names]
    figure = new_figure(frame, 4.0, [*keys, Patch(facecolor=DONE, label="computation")])
    drawn = _Bars(figure.subplots(), frame, names)
    places = [drawn.draw(at, bar) for at, group in enumerate(bars.values()) for bar in group]
    labels = [bar.split.replace(" × ", "\n") for group in bars.values() for bar in group]
    drawn.axes.set_xticks(places, labels, fontsize=frame.page.small)
    drawn.axes.set_xlim(-0.55, len(bars) - 0.45)
    drawn.name_groups(list(bars), 1 + max(label.count("\n") for label in labels))
    drawn.axes.tick_params(axis="x", length=0)
    drawn.axes.grid(axis="x", visible=False)
    drawn.axes.margins(y=0.08)
    drawn.axes.set_xlabel(" ")  # keeps room for the numbers of nodes
    drawn.axes.set_ylabel("decode step (ms)")
    return figure
