"""The marks of a figure, from plain numbers: palette, axes, and charts of lines; independent of records."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from collbench.plan.sizes import format_size
from collbench.results.writing import replace_bytes

WIDTH = 9.0  # inches: 900 px of a README at 100 px an inch
GREY, RED = "#6b6b6b", "#b00020"
MOST_MARKERS = 100  # more would hide their line
SLOWEST_SHOWN = 0.25  # lower speed-ups would compress those near 1
DOTTED: Mapping[str, Any] = {"color": GREY, "linestyle": ":", "linewidth": 1.2}
# Okabe and Ito's palette, and three darker colours that stay distinct from it under colour blindness.
KNOWN = {
    "nccl": ("#0072B2", "o"),
    "nccl-symm": ("#56B4E9", "s"),
    "nvshmem": ("#009E73", "^"),
    "nvrar": ("#D55E00", "D"),
    "mpi": ("#882255", "o"),
    "mpi-nvrar": ("#E69F00", "D"),
    "mpi-ring": ("#44AA99", "v"),
}
OTHERS = ("#CC79A7", "#000000", "#999933", "#332288")
MARKERS = "vPX*<>p"  # 7 markers and 4 colours: 28 pairs before one repeats
# The hash salt makes the identifiers in an SVG reproducible.
LOOK: Mapping[str, Any] = {
    "svg.hashsalt": "collbench",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "savefig.dpi": 160,
}
Style = tuple[str, str]


@dataclass(frozen=True)
class Curve:
    """One line of a chart: ``y`` over ``x``, NaN at gaps, and the band from ``low`` to ``high``, if any."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Frame:
    """The frame of a chart: its title, small print at the foot, colour and marker of every name, and a warning in red
    below the title."""

    title: str
    foot: str
    styles: Mapping[str, Style]
    warning: str = ""


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Colour and marker of each name: fixed for known names, assigned in sorted order to others."""
    others = sorted(set(names) - KNOWN.keys())
    return {**KNOWN, **{name: (OTHERS[i % len(OTHERS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(others)}}


def save(figure: Figure, path: Path) -> list[Path]:
    """Write ``path`` with .png and .svg appended, byte for byte reproducible; returns both paths.

    Raises UsageError if they cannot be written, and OutputError on a full disk.
    """
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        content = io.BytesIO()
        figure.savefig(content, format=kind, metadata=metadata)
        paths.append(path.with_name(f"{path.name}.{kind}"))
        replace_bytes(paths[-1], content.getvalue())
    return paths


def look() -> Any:
    """Context for making and saving figures: this style over matplotlib's defaults, without the user's settings."""
    return style.context(["default", dict(LOOK)])


def new_figure(frame: Frame, height: float, keys: Sequence[Line2D | Patch], width: float = WIDTH) -> Figure:
    """An empty figure: title and legend above, small print below, space for the axes between."""
    longest = max(len(str(key.get_label())) for key in keys)
    columns = max(1, min(len(keys), int(width / (0.7 + 0.085 * longest))))
    alarm = textwrap.wrap(frame.warning, int(13.5 * width))
    under = 0.38 + 0.17 * len(alarm)
    top = 0.04 + under + 0.22 * math.ceil(len(keys) / columns)
    foot = [line for text in frame.foot.splitlines() for line in textwrap.wrap(text, int(17.5 * width))]
    below = 0.1 + 0.14 * len(foot)
    height += top + below
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", rect=(0.007, below / height, 0.983, 1 - (top + below) / height))
    title = figure.text(0.1 / width, 1 - 0.1 / height, frame.title, va="top", weight="bold")
    title.set_fontsize(min(11.5, 11.5 * 92 * width / WIDTH / len(frame.title)))
    if alarm:
        red: dict[str, Any] = {"color": RED, "weight": "bold"}
        figure.text(0.1 / width, 1 - 0.35 / height, "\n".join(alarm), va="top", fontsize=8.5, **red)
    figure.text(0.1 / width, 0.07 / height, "\n".join(foot), va="bottom", fontsize=7, color=GREY)
    place: dict[str, Any] = {"bbox_to_anchor": (0.1 / width, 1 - under / height), "ncols": columns}
    room: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0, "columnspacing": 1.6, "handletextpad": 0.6}
    figure.legend(handles=keys, loc="upper left", frameon=False, **place, **room)
    return figure


def _keys(frame: Frame, curves: Iterable[Curve]) -> list[Line2D | Patch]:
    lines = {name: frame.styles[name] for name in sorted({curve.name for curve in curves})}
    return [Line2D([], [], color=colour, marker=marker, label=name) for name, (colour, marker) in lines.items()]


def _isolated(y: Sequence[float]) -> list[int]:
    """Indices of numbers between two gaps."""
    gaps = [True, *map(math.isnan, y), True]
    return [index for index in range(len(y)) if gaps[index] and not gaps[index + 1] and gaps[index + 2]]


def _draw(axes: Axes, frame: Frame, curves: Iterable[Curve]) -> None:
    for curve in curves:
        colour, marker = frame.styles[curve.name]
        marker = marker if len(curve.x) <= MOST_MARKERS else ""
        axes.plot(curve.x, curve.y, color=colour, marker=marker, markeredgecolor="white", markeredgewidth=0.6)
        if curve.low:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, linewidth=0)
            for at in _isolated(curve.y):  # a band needs two points: a single one gets a bar
                axes.vlines(curve.x[at], curve.low[at], curve.high[at], color=colour, alpha=0.4, linewidth=4)


def _finite(groups: Iterable[Sequence[float]]) -> list[float]:
    return [value for group in groups for value in group if math.isfinite(value)]


def _ticks(axis: Axis, places: Sequence[float], write: Callable[[float], str]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def size_label(size: float) -> str:
    """A size (bytes) for a tick, with the unit below the number."""
    return format_size(round(size)).replace(" ", "\n")


def _size_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """Ticks at powers of two, at most 16 of them, with the unit below the number."""
    first, last = math.floor(math.log2(min(sizes))), math.ceil(math.log2(max(sizes)))
    places = [2.0**power for power in range(first, last + 1, math.ceil((last - first + 1) / 16))]
    axes.set_xscale("log", base=2)
    shown = sizes if any(min(sizes) <= place <= max(sizes) for place in places) else places
    axes.set_xlim(min(shown) / 1.25, max(shown) * 1.25)
    axes.set_xlabel("message size")
    _ticks(axes.xaxis, places, size_label)


def _rank_axis(axes: Axes, ranks: Sequence[float], nodes: Mapping[int, int]) -> None:
    """Ticks at numbers of ranks, with their number of nodes, from ``nodes``, below."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(ranks) / 1.25, max(ranks) * 1.25)
    axes.set_xlabel("ranks, on so many nodes" if nodes else "ranks")
    below = {count: f"\non {nodes[count]}" for count in nodes}
    _ticks(axes.xaxis, ranks, lambda count: f"{count:.0f}{below.get(round(count), '')}")


def _latency_axis(axes: Axes, curves: Iterable[Curve]) -> None:
    """Log axis between two round numbers, so that even a narrow range has two ticks."""
    values = _finite(part for curve in curves for part in (curve.y, curve.low, curve.high))
    least, most = min(values), max(values)
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8) if most < 6 * least else (1, 2, 5) if most < 300 * least else (1,)
    rungs = [step * 10.0**power for power in powers for step in steps]
    low = max(rung for rung in rungs if rung <= least * 1.001)
    high = min(rung for rung in rungs if rung >= most / 1.001)
    axes.set_ylabel("latency (µs)\nmedian and 5 to 95 % of iterations")
    axes.set_yscale("log")
    axes.set_ylim(low / 1.05, high * 1.05)
    _ticks(axes.yaxis, [rung for rung in rungs if low <= rung <= high], "{:,.10g}".format)


def _ratio_axis(axes: Axes, ratios: Iterable[float]) -> None:
    """Log axis around 1, on which 2 and 1/2 are equally far from 1."""
    values = [1.0, *(max(value, SLOWEST_SHOWN) for value in ratios)]
    low, high = min(values) / 1.03, max(values) * 1.03  # so that noise of a percent does not fill the axis
    powers = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
    near = [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if tick > 0]
    far = [2.0**power for power in powers if power % math.ceil(len(powers) / 6) == 0]
    places = far if high > 5 * low else near
    axes.set_yscale("log", base=2)
    axes.set_ylim(min(low, *places) / (high / low) ** 0.04, max(high, *places) * (high / low) ** 0.04)
    _ticks(axes.yaxis, places, "{:.3g}\N{MULTIPLICATION SIGN}".format)


def _draw_speedups(axes: Axes, frame: Frame, speedups: Sequence[Curve], baseline: str) -> None:
    axes.axhline(1, color=GREY, linewidth=1.2)
    _draw(axes, frame, speedups)
    ratios = _finite(curve.y for curve in speedups)
    _ratio_axis(axes, ratios)
    cut = ";\nfar slower is cut off" if min(ratios) < SLOWEST_SHOWN else ""
    band = "\n95 % band over launches" if any(curve.low for curve in speedups) else ""
    axes.set_ylabel(f"speed-up over {baseline}\nabove 1 is faster{cut}{band}")


def latency_chart(
    frame: Frame, curves: Sequence[Curve], bounds: Sequence[Curve], speedups: Sequence[Curve], baseline: str
) -> Figure:
    """Latency (microseconds) and its lower bounds over size (bytes); below, speed-ups over ``baseline``, if any."""
    keys = [*_keys(frame, curves), *(Line2D([], [], label=bound.name, **DOTTED) for bound in bounds)]
    figure = new_figure(frame, 5.6 if speedups else 3.8, keys)
    heights = [5, 3] if speedups else [1]
    upper, *lower = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for bound in bounds:
        upper.plot(bound.x, bound.y, **DOTTED)
    _draw(upper, frame, curves)
    _latency_axis(upper, [*curves, *bounds])
    for axes in lower:
        _draw_speedups(axes, frame, speedups, baseline)
    _size_axis([upper, *lower][-1], curves[0].x)
    return figure


def bandwidth_chart(frame: Frame, curves: Sequence[Curve]) -> Figure:
    """Bus bandwidth (10**9 bytes per second) over size (bytes)."""
    figure = new_figure(frame, 3.8, _keys(frame, curves))
    axes = figure.subplots()
    _draw(axes, frame, curves)
    axes.set_ylim(0, max(_finite(curve.y for curve in curves)) * 1.06)
    axes.set_ylabel("bus bandwidth (GB/s)\nmedian; GB = 10⁹ bytes")
    _size_axis(axes, curves[0].x)
    return figure


def scaling_chart(frame: Frame, by_size: Mapping[int, Sequence[Curve]], nodes: Mapping[int, int]) -> Figure:
    """Latency (microseconds) over the number of ranks, one panel for each of up to four sizes. ``nodes``: the number of
    nodes by number of ranks, empty to omit it."""
    columns = 2 if len(by_size) in (2, 4) else len(by_size)
    rows = math.ceil(len(by_size) / columns)
    figure = new_figure(frame, 0.3 + 2.6 * rows, _keys(frame, (c for curves in by_size.values() for c in curves)))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (size, curves) in zip(grid.flat, by_size.items(), strict=True):
        _draw(axes, frame, curves)
        _latency_axis(axes, curves)
        _rank_axis(axes, curves[0].x, nodes)
        axes.set_title(format_size(size), fontsize=10, loc="left")
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    for axes in grid[:-1].flat:
        axes.set_xlabel("")
    return figure
