"""The matrix of hosts: what each pair takes, in colours by how much longer than the median pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from collbench.views.page import SCREEN, SMALLEST, Frame, Page, inches, new_figure

# Up to how many times the median pair's time, and the colour; from grey to red, lighter to darker for every eye.
SHADES = ((1.05, "#e8e8e8"), (1.2, "#fdd49e"), (1.5, "#fc8d59"), (float("inf"), "#990000"))
DARKEST = SHADES[-1][1]
PAPER = "#ffffff"
CELL, LARGEST = 0.42, 24.0  # inches: across a cell that has room for a number, and of the whole figure
LINE = 0.14  # inches of a name
SIDE_BY_SIDE = 8  # hosts, at most


@dataclass(frozen=True)
class Pane:
    """One matrix: its title, and by row and column what is written there and the time over that of the median pair."""

    title: str
    cells: Mapping[tuple[int, int], tuple[str, float]]


def shade(ratio: float) -> str:
    """The colour of a pair that takes ``ratio`` times as long as the median pair."""
    return next(colour for limit, colour in SHADES if ratio <= limit)


def matrix_chart(frame: Frame, hosts: Sequence[str], panes: Sequence[Pane]) -> Figure:
    """A matrix of all hosts for each pane; pairs that were not timed are white."""
    beside = len(hosts) <= SIDE_BY_SIDE
    page, across = frame.page, len(panes) if beside else 1
    label = 0.3 + max(inches(host, _small(page)) for host in hosts)
    wanted = max(page.width, across * (label + CELL * len(hosts)))
    width = min(wanted, LARGEST) if page == SCREEN else page.width
    cell = (width / across - label) / len(hosts)
    tall = min(cell, CELL) * len(hosts) + label + 0.4
    down = 1 if beside else len(panes)
    figure = new_figure(frame, min(down * tall, LARGEST), _keys(), width)
    for axes, pane in zip(figure.subplots(down, across, squeeze=False).flat, panes, strict=True):
        _draw(axes, page, hosts, pane, cell)
    return figure


def _keys() -> list[Patch]:
    limits = [f"{limit:g}×" for limit, _ in SHADES[:-1]]
    words = [f"up to {limits[0]} the time of the median pair", *(f"to {limit}" for limit in limits[1:]), "more"]
    return [Patch(facecolor=colour, label=word) for word, (_, colour) in zip(words, SHADES, strict=True)]


def _small(page: Page) -> float:
    """Points of names and numbers."""
    return max(SMALLEST, 0.8 * page.font)


def _draw(axes: Axes, page: Page, hosts: Sequence[str], pane: Pane, cell: float) -> None:
    """Draw a pane whose cells are ``cell`` inches across; numbers where they have room, names of every n-th host."""
    image = np.full((len(hosts), len(hosts), 3), to_rgb(PAPER))
    for (row, column), (text, ratio) in pane.cells.items():
        image[row, column] = to_rgb(shade(ratio))
        if cell >= 0.9 * CELL:
            ink = "white" if shade(ratio) == DARKEST else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=max(SMALLEST, 0.75 * page.font), color=ink)
    axes.imshow(image, interpolation="nearest", aspect="auto")
    step = math.ceil(LINE / cell)
    axes.set_xticks(range(0, len(hosts), step), hosts[::step], rotation=90, fontsize=_small(page))
    axes.set_yticks(range(0, len(hosts), step), hosts[::step], fontsize=_small(page))
    axes.set_title(pane.title, fontsize=page.font, loc="left")
    axes.grid(False)
    axes.tick_params(length=0)
