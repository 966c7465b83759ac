"""TPOT over nodes, from plain numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from collbench.fit.estimate import Estimate
from collbench.views import scales
from collbench.views.curves import Curve, draw
from collbench.views.page import Frame, Key, inches, new_figure
from collbench.views.palette import GREY

ROOM = 1.15  # above and below all ranges
PALE = 0.25
SHARE = 0.05  # of the distance between numbers of nodes, at most a doubling, that the range of one source takes
EDGE = 1.25  # left and right of the first and the last number of nodes; of a single one far more, so that bars are slim
ALONE = 4.0


@dataclass(frozen=True)
class Track:
    """Times of a source over nodes (microseconds), and a word at each; ``dashed``: tensor parallelism alone."""

    source: str
    nodes: tuple[int, ...]
    times: tuple[Estimate, ...]
    words: tuple[str, ...] = ()
    dashed: bool = False

    @property
    def curve(self) -> Curve:
        """The line in milliseconds, with its range."""
        y, low, high = ([getattr(each, name) / 1e3 for each in self.times] for name in ("us", "low", "high"))
        return Curve(self.source, self.nodes, y, low, high, self.dashed)


def tpot_chart(frame: Frame, tracks: Sequence[Track], gpus: Mapping[int, int]) -> Figure:
    """Milliseconds over nodes, both logarithmic, with pale bars for ranges; below, a table of GPUs and of the words of
    each source."""
    figure = new_figure(frame, 4.2 + 0.13 * len(tracks), _keys(frame, tracks))
    axes = figure.subplots()
    solid = [track for track in tracks if not track.dashed]
    draw(axes, frame, [track.curve for track in tracks if track.dashed])  # below: solid lines start at the same marks
    draw(axes, frame, [track.curve for track in solid])
    _node_axis(axes, sorted(gpus))
    _time_axis(axes, tracks)
    for place, track in enumerate(solid):
        _ranges(axes, frame, track.curve, place - len(solid) / 2, _gap(sorted(gpus)))
    _table(axes, frame, solid, gpus)
    axes.set_ylabel("TPOT (ms)")
    return figure


def _keys(frame: Frame, tracks: Sequence[Track]) -> list[Key]:
    looks = {track.source: frame.styles[track.source] for track in tracks}
    named: list[Key] = [
        Line2D([], [], color=colour, marker=marker, label=name) for name, (colour, marker) in looks.items()
    ]
    plain = Line2D([], [], color=GREY, linestyle=(0, (4, 1.5)), label="tensor parallelism alone")
    return [*named, *([plain] if any(track.dashed for track in tracks) else []),
            Patch(facecolor=GREY, alpha=PALE, label="range")]  # fmt: skip


def _node_axis(axes: Axes, nodes: Sequence[int]) -> None:
    scales.rank_axis(axes, nodes, {})
    edge = EDGE if len(nodes) > 1 else ALONE
    axes.set_xlim(nodes[0] / edge, nodes[-1] * edge)
    axes.set_xlabel("")


def _time_axis(axes: Axes, tracks: Sequence[Track]) -> None:
    """Ticks at round numbers, without empty space above and below unless fewer than two ticks would remain."""
    shown = [part for track in tracks for part in (track.curve.y, *_ends(track))]
    values = scales.finite(shown)
    scales.latency_axis(axes, values)
    low, high = min(values) / ROOM, max(values) * ROOM
    if sum(low <= tick <= high for tick in axes.get_yticks()) > 1:
        axes.set_ylim(low, high)


def _ends(track: Track) -> tuple[Sequence[float], ...]:
    return () if track.dashed else (track.curve.low, track.curve.high)


def _gap(nodes: Sequence[int]) -> float:
    """The distance of neighbours on a logarithmic axis, at most a doubling."""
    return min([math.log(2), *(math.log(b / a) for a, b in itertools.pairwise(nodes))])


def _ranges(axes: Axes, frame: Frame, curve: Curve, place: float, gap: float) -> None:
    """A pale bar for each range, ``place`` widths of a bar right of its number of nodes."""
    left, right = (math.exp(SHARE * gap * at) for at in (place + 0.05, place + 0.95))
    tall = [high - low for low, high in zip(curve.low, curve.high, strict=True)]
    axes.bar([x * left for x in curve.x], tall, [x * (right - left) for x in curve.x], curve.low, align="edge",
             color=frame.styles[curve.name][0], alpha=PALE, linewidth=0)  # fmt: skip


def _table(axes: Axes, frame: Frame, tracks: Sequence[Track], gpus: Mapping[int, int]) -> None:
    """Rows below the axes: nodes, GPUs, and the words of each source in its colour."""
    page, nodes = frame.page, sorted(gpus)
    across = (page.width - 1.3) * _gap(nodes) / math.log(EDGE**2 * nodes[-1] / nodes[0])
    wide = max(inches(word, page.small) for track in tracks for word in track.words)
    join = "\n" if wide > across else " × "
    axes.tick_params(axis="x", labelbottom=False)
    _row(axes, 1.5 * page.font, page.font, {0: "nodes", **{each: each for each in nodes}})
    _row(axes, 2.9 * page.font, page.font, {0: "GPUs", **gpus})
    down = 3.1 * page.font + 1.4 * page.small
    for track in tracks:
        words = [word.replace(" × ", join) for word in track.words]
        named = dict(zip(track.nodes, words, strict=True))
        _row(axes, down, page.small, {0: track.source, **named}, frame.styles[track.source][0])
        down += page.small * (0.2 + 1.3 * max(1 + word.count("\n") for word in words))


def _row(axes: Axes, down: float, size: float, words: Mapping[int, object], colour: str = "black") -> None:
    """Words whose first line is so many points below the axes, each at its number of nodes; at 0, what they are."""
    for nodes, word in words.items():
        at, across, align = (nodes, 0, "center") if nodes else (axes.get_xlim()[0], -6, "right")
        lower = 1.3 * size * str(word).count("\n")
        axes.annotate(str(word), (at, 0), (across, -down - lower), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha=align, va="baseline", fontsize=size, color=colour,
                      linespacing=1.3, parse_math=False)  # fmt: skip
