"""TPOT over nodes, from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collbench.fit.estimate import Estimate
from collbench.views import scales
from collbench.views.curves import Curve, draw, draw_bands
from collbench.views.page import Frame, Key, new_figure
from collbench.views.palette import GREY, PAPER

ROOM = 1.12  # above and below all whiskers, for the splits that are named there


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
        """The line in milliseconds, with its range where it is solid."""
        y, low, high = ([getattr(each, name) / 1e3 for each in self.times] for name in ("us", "low", "high"))
        whole = Curve(self.source, self.nodes, y, low, high)
        return replace(whole, low=(), high=(), dashed=True) if self.dashed else whole


def tpot_chart(frame: Frame, tracks: Sequence[Track], gpus: Mapping[int, int]) -> Figure:
    """Milliseconds over nodes, both logarithmic, with the number of GPUs below that of nodes."""
    figure = new_figure(frame, 4.2, _keys(frame, tracks))
    axes = figure.subplots()
    curves = [track.curve for track in tracks]
    draw(axes, frame, curves)
    ends = [value for curve in curves for part in (curve.y, curve.low, curve.high) for value in part]
    scales.latency_axis(axes, scales.finite([ends]))
    low, high = axes.get_ylim()
    axes.set_ylim(low / ROOM, high * ROOM)
    draw_bands(frame, [(axes, [curve for curve in curves if not curve.dashed])])
    _label_splits(axes, frame, tracks)
    _node_axis(axes, gpus)
    axes.set_ylabel("TPOT (ms)")
    return figure


def _keys(frame: Frame, tracks: Sequence[Track]) -> list[Key]:
    looks = {track.source: frame.styles[track.source] for track in tracks}
    named: list[Key] = [
        Line2D([], [], color=colour, marker=marker, label=name) for name, (colour, marker) in looks.items()
    ]
    plain = Line2D([], [], color=GREY, linestyle=(0, (4, 1.5)), label="tensor parallelism alone")
    return [*named, *([plain] if any(track.dashed for track in tracks) else [])]


def _node_axis(axes: Axes, gpus: Mapping[int, int]) -> None:
    scales.rank_axis(axes, sorted(gpus), {})
    axes.set_xlabel("nodes, with so many GPUs")
    axes.set_xticks(sorted(gpus), [f"{nodes}\n{gpus[nodes]}" for nodes in sorted(gpus)])


def _label_splits(axes: Axes, frame: Frame, tracks: Sequence[Track]) -> None:
    """The split at each point of the solid lines: above the highest line, below the lowest."""
    solid = [track for track in tracks if track.words]
    for track in solid:
        for nodes, time, word in zip(track.nodes, track.times, track.words, strict=True):
            others = [other.times[other.nodes.index(nodes)].us for other in solid if nodes in other.nodes]
            top = time.us == max(others) and len(others) > 1
            if top or time.us == min(others):
                end = time.high if top else time.low
                shift = (0, 5) if top else (0, -5)
                axes.annotate(word, (nodes, end / 1e3), shift, textcoords="offset points", ha="center",
                              va="bottom" if top else "top", fontsize=frame.page.small,
                              color=frame.styles[track.source][0], bbox=dict(PAPER))  # fmt: skip
