"""The map of the fastest backends: a tile for each configuration and size, from plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from collbench.tables import show_factor
from collbench.views.drawing import WIDTH, Frame, new_figure, size_label

LARGEST = 24.0  # inches either way; at 160 dots an inch far below the 2**16 that matplotlib can draw
ACROSS, DOWN = 0.38, 0.27  # inches of a tile with a number
SMALLEST_FONT, LARGEST_FONT = 5.5, 9.0
DOTS = 110.0  # points of font size that a character of a label has in an inch


@dataclass(frozen=True)
class Win:
    """The fastest backend, its lead over the next as a factor (None: no other), and what makes it uncertain: ``≈``,
    another may be as fast; ``?``, no verdict; or ""."""

    name: str
    factor: float | None
    mark: str = ""


@dataclass(frozen=True)
class Grid:
    """Inches: of the whole figure across, of the labels left of the tiles, and of a tile."""

    width: float
    room: float
    across: float
    down: float

    @property
    def has_numbers(self) -> bool:
        """Whether a tile is large enough for a number."""
        return self.across >= 0.9 * ACROSS and self.down >= 0.9 * DOWN


def grid_of(rows: Sequence[str], columns: int) -> Grid:
    """The grid for rows with these labels: its tiles shrink where it would exceed LARGEST."""
    room = 0.6 + 0.09 * max(map(len, rows))
    width = min(max(WIDTH, room + ACROSS * columns), LARGEST)
    return Grid(width, room, (width - room) / columns, min(DOWN, LARGEST / len(rows)))


def best_chart(frame: Frame, rows: Sequence[str], sizes: Sequence[int], wins: Mapping[tuple[int, int], Win]) -> Figure:
    """A grid of configurations and sizes with ``wins`` by row and column; other tiles show a dash."""
    keys = [Patch(facecolor=frame.styles[name][0], label=name) for name in sorted({win.name for win in wins.values()})]
    grid = grid_of(rows, len(sizes))
    figure = new_figure(frame, 0.7 + grid.down * len(rows), keys, grid.width)
    axes = figure.subplots()
    for place in ((row, column) for row in range(len(rows)) for column in range(len(sizes))):
        _tile(axes, frame, grid, place, wins.get(place))
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _label(axes, grid, rows, [size_label(size) for size in sizes])
    axes.set_xlabel("message size")
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _label(axes: Axes, grid: Grid, rows: Sequence[str], sizes: Sequence[str]) -> None:
    """Label every row and column, or every n-th where labels would overlap."""
    longest = max(len(line) for label in sizes for line in label.splitlines())
    crowding = SMALLEST_FONT * longest / (DOTS * grid.across)
    step = 1 if crowding <= 1 else math.ceil(2 * crowding)
    font = min(LARGEST_FONT, SMALLEST_FONT * step / crowding / (1 if step == 1 else 1.3))  # thinned ones have a gap
    axes.set_xticks(range(0, len(sizes), step), sizes[::step], fontsize=font)
    step = math.ceil(0.6 * DOWN / grid.down)
    axes.set_yticks(range(0, len(rows), step), rows[::step])


def _tile(axes: Axes, frame: Frame, grid: Grid, place: tuple[int, int], win: Win | None) -> None:
    row, column = place
    paper = _mixed(frame.styles[win.name][0], 0.35 if win.mark else 1.0) if win else (0.95, 0.95, 0.95)
    edge = min(1.5, 0.08 * 72 * min(grid.across, grid.down))
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=paper, edgecolor="white", linewidth=edge))
    if grid.has_numbers:
        axes.text(column, row, _text(win), ha="center", va="center", fontsize=8, color=_ink(paper))


def _text(win: Win | None) -> str:
    if win is None:
        return "-"
    if win.factor is None:
        return "only"
    return f"{win.mark}{show_factor(win.factor)}"


def _mixed(colour: str, share: float) -> tuple[float, ...]:
    """``colour`` mixed with white, as RGB from 0 to 1."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return tuple(1 - share * (1 - part) for part in parts)


def _ink(paper: tuple[float, ...]) -> str:
    return "black" if 0.3 * paper[0] + 0.6 * paper[1] + 0.1 * paper[2] > 0.38 else "white"
