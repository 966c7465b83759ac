"""Axes of charts: their scales, their limits, and ticks that can be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from collbench.plan.sizes import format_size
from collbench.views.page import Page, inches

SLOWEST_SHOWN = 0.25  # lower speed-ups would compress those near 1
MOST_TICKS = 7
NEXT_TO_NONE = 2.5  # how many times as far as 0 the shortest skew is, on a logarithmic axis
Values = Sequence[float]
Places = Mapping[float, float]  # where numbers are on an axis


def finite(groups: Iterable[Values]) -> list[float]:
    """All numbers of the groups but NaN."""
    return [value for group in groups for value in group if math.isfinite(value)]


def _ticks(axis: Axis, places: Values, write: Callable[[float], str]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def size_label(size: float) -> str:
    """A size (bytes) for a tick, with the unit below the number."""
    return format_size(round(size)).replace(" ", "\n")


def size_axis(axes: Axes, sizes: Values, page: Page) -> None:
    """Ticks at powers of two, as many as have room, or at the only size, with the unit below the number."""
    first, last = math.floor(math.log2(min(sizes))), math.ceil(math.log2(max(sizes)))
    most = int((page.width - 1) / (3.3 * page.em))
    places = [2.0**power for power in range(first, last + 1, math.ceil((last - first + 1) / most))]
    axes.set_xscale("log", base=2)
    if len(set(sizes)) == 1:
        places = list(sizes[:1])
    shown = sizes if any(min(sizes) <= place <= max(sizes) for place in places) else places
    axes.set_xlim(min(shown) / 1.25, max(shown) * 1.25)
    axes.set_xlabel("message size")
    _ticks(axes.xaxis, places, size_label)


def rank_axis(axes: Axes, ranks: Values, nodes: Mapping[int, int]) -> None:
    """Ticks at numbers of ranks, with their number of nodes, from ``nodes``, below."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(ranks) / 1.25, max(ranks) * 1.25)
    axes.set_xlabel("ranks, on so many nodes" if nodes else "ranks")
    below = {count: f"\non {nodes[count]}" for count in nodes}
    _ticks(axes.xaxis, ranks, lambda count: f"{count:.0f}{below.get(round(count), '')}")


def skew_places(skews: Values) -> Places:
    """Where skews (microseconds, ascending) are on a logarithmic axis, 0 before all others."""
    shortest = min((skew for skew in skews if skew), default=1.0)
    return {skew: skew or shortest / NEXT_TO_NONE for skew in skews}


def skew_axis(axes: Axes, places: Places, width: float, page: Page) -> None:
    """Ticks at skews, but for those that have no room beside a longer one; ``width``: inches of the axes."""
    low, high = min(places.values()) / 1.25, max(places.values()) * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xlabel("skew (µs)")
    labels = {place: f"{skew:,g}" for skew, place in places.items()}
    ticks: list[float] = []
    for place in sorted(labels, reverse=True):
        room = width * math.log(ticks[-1] / place) / math.log(high / low) if ticks else math.inf
        if room >= inches(labels[place] + labels[(ticks or [place])[-1]], page.font) / 2 + 0.4 * page.em:
            ticks.append(place)
    _ticks(axes.xaxis, ticks[::-1], lambda place: labels.get(place, ""))


def latency_axis(axes: Axes, values: Values) -> None:
    """Log axis between two round numbers (microseconds), so that even a narrow range has two ticks."""
    least, most = min(values), max(values)
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8) if most < 6 * least else (1, 2, 5) if most < 300 * least else (1,)
    rungs = [step * 10.0**power for power in powers for step in steps]
    low = max(rung for rung in rungs if rung <= least * 1.001)
    high = min(rung for rung in rungs if rung >= most / 1.001)
    axes.set_yscale("log")
    axes.set_ylim(low / 1.05, high * 1.05)
    _ticks(axes.yaxis, [rung for rung in rungs if low <= rung <= high], "{:,.10g}".format)


def ratio_axis(axes: Axes, ratios: Values, ends: Values) -> None:
    """Log axis around 1, on which 2 and 1/2 are equally far from 1: all ratios from SLOWEST_SHOWN on, and the ``ends``
    of their intervals as far as a factor of 1.5 beyond them."""
    values = [1.0, *(max(value, SLOWEST_SHOWN) for value in ratios)]
    low, high = min(values), max(values)
    least = min(low, max(low / 1.5, SLOWEST_SHOWN))
    inside = [min(max(end, least), high * 1.5) for end in ends]
    low, high = min(low, *inside, 1 / 1.03), max(high, *inside, 1.03)  # so that noise does not fill the axis
    pad = (high / low) ** 0.04
    axes.set_yscale("log", base=2)
    axes.set_ylim(low / pad, high * pad)
    _ticks(axes.yaxis, ratio_ticks(low / pad, high * pad), "{:,.10g}\N{MULTIPLICATION SIGN}".format)


def ratio_ticks(low: float, high: float) -> list[float]:
    """Ticks between two ratios around 1, from the finest of these ladders that has few enough: in a narrow range equal
    steps from 0.01 to 0.5; octaves, halved above 0.5; octaves; every second octave and so on. 1 is among them."""
    octaves = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
    fine = (step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if step <= 2 * low and high < 5 * low)
    even = ([round(at * step, 2) for at in range(1, int(high / step) + 1)] for step in fine)
    halved = [2.0**power * part for power in octaves for part in ((1, 1.5) if power >= -1 else (1,))]
    sparse = ([2.0**power for power in octaves if power % apart == 0] for apart in range(1, 1 + len(octaves)))
    for ladder in (*even, halved, *sparse):
        found = [tick for tick in ladder if low <= tick <= high]
        if len(found) <= MOST_TICKS:
            return found
    return [1.0]
