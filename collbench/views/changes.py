"""A chart of changes with their intervals over size, and the margin within which a change does not matter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from collbench.views.page import SCREEN, Frame, Key, Page, new_figure
from collbench.views.palette import GREY
from collbench.views.scales import size_axis

# Colour and marker of each verdict, other ones like the last: what is decided is filled.
LOOKS: Mapping[str, tuple[str, str]] = {
    "slower": ("#D55E00", "^"), "faster": ("#0072B2", "v"), "same": ("#000000", "o"), "unclear": ("#882255", "D"),
    "missing": (GREY, "x"),
}  # fmt: skip
HOLLOW = ("unclear",)
LEAST = 0.5  # per cent that the axis shows at least, if there is neither change nor margin
BEYOND = 3.0  # times the largest change or margin: as far as intervals are drawn


@dataclass(frozen=True)
class Change:
    """The change of the latency at one size (bytes), its interval and the margin, in per cent of the base, and the
    verdict. None: no launch has both sides, or too few for an interval."""

    size: int
    percent: float | None
    low: float | None
    high: float | None
    margin: float
    verdict: str


def change_chart(changes: Sequence[Change], title: str, foot: str, page: Page = SCREEN) -> Figure:
    """Changes (at least one, by ascending size) with their intervals, over the margin, shaded; above 0 is slower.

    Call it and save the figure within ``look(page)``, which sets the style.
    """
    figure = new_figure(Frame(title, foot, {}, page=page), 3.4 * page.tall, _keys(changes))
    axes = figure.subplots()
    axes.axhline(0, color=GREY, linewidth=1.2)
    _shade(axes, changes)
    reach = _reach(changes)
    for change in changes:
        _draw(axes, change)
    axes.set_ylim(-reach, reach)
    axes.set_ylabel("change of latency\nabove 0 % is slower")
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+,.4g} %" if value else "0 %"))
    size_axis(axes, [change.size for change in changes], page)
    return figure


def _keys(changes: Iterable[Change]) -> list[Key]:
    """A key for each verdict in use, and for the margin."""
    used = {change.verdict for change in changes}
    verdicts = [each for each in LOOKS if each in used] + sorted(used - LOOKS.keys())
    keys: list[Key] = [Line2D([], [], linestyle="", label=each, **_look(each)) for each in verdicts]
    return [*keys, Patch(facecolor=GREY, alpha=0.16, label="margin")]


def _look(verdict: str) -> dict[str, Any]:
    colour, marker = LOOKS.get(verdict, (GREY, "s"))
    face = "white" if verdict in HOLLOW else colour
    return {"color": colour, "marker": marker, "markerfacecolor": face, "markersize": 6, "markeredgewidth": 1.4}


def below(margin: float) -> float:
    """The lower end (per cent) of a margin: a ratio of 1 / (1 + M), as far from 1 as 1 + M."""
    return 100 * (1 / (1 + margin / 100) - 1)


def _shade(axes: Axes, changes: Sequence[Change]) -> None:
    """The margin of each size, from half way to its neighbours."""
    sizes = [float(change.size) for change in changes]
    inner = [math.sqrt(one * other) for one, other in zip(sizes, sizes[1:], strict=False)]
    edges = [sizes[0] / 2, *inner, sizes[-1] * 2]
    margins = [change.margin for change in changes]
    low, high = [below(each) for each in margins], list(margins)
    axes.fill_between(edges, [*low, low[-1]], [*high, high[-1]], step="post", color=GREY, alpha=0.16, linewidth=0)


def _reach(changes: Sequence[Change]) -> float:
    """How far (per cent) the axis goes from 0."""
    margins = [change.margin for change in changes if math.isfinite(change.margin)]
    most = max(LEAST, *margins, *(abs(change.percent or 0) for change in changes))
    ends = (abs(end) for change in changes for end in (change.low, change.high) if end is not None)
    return 1.08 * max(1.5 * most, min(max(ends, default=0), BEYOND * most))


def _draw(axes: Axes, change: Change) -> None:
    """The mark of a change and its interval; of a size without a change, the mark of its verdict at 0."""
    look = _look(change.verdict)
    if change.low is not None and change.high is not None:
        axes.vlines(change.size, change.low, change.high, color=look["color"], linewidth=1.4)
        axes.scatter([change.size] * 2, [change.low, change.high], color=look["color"], marker="_", s=30)
    axes.plot([change.size], [0 if change.percent is None else change.percent], linestyle="", **look)
