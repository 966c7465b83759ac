"""The map of the fastest backends: a tile for each configuration and size, from plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from collbench.tables import show_factor
from collbench.views.page import SCREEN, SMALLEST, Frame, Key, Page, inches, new_figure
from collbench.views.palette import GREY
from collbench.views.scales import size_label

LARGEST = 24.0  # inches either way; at 160 dots an inch far below the 2**16 that matplotlib can draw
ACROSS, DOWN = 0.38, 0.27  # inches of a tile with a number
HATCHES = {"≈": "///", "?": "..."}
KEYS = {"≈": "another may be as fast", "?": "too few launches for a verdict"}


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


def grid_of(rows: Sequence[str], columns: int, page: Page) -> Grid:
    """The grid for rows with these labels: as wide as the page, or on a screen as wide as its numbers need; its tiles
    shrink where it would exceed LARGEST."""
    room = 0.35 + max(inches(label, page.font) for label in rows)
    width = min(max(page.width, room + ACROSS * columns), LARGEST) if page == SCREEN else page.width
    return Grid(width, room, (width - room) / columns, min(DOWN, LARGEST / len(rows)))


def best_chart(frame: Frame, rows: Sequence[str], sizes: Sequence[int], wins: Mapping[tuple[int, int], Win]) -> Figure:
    """A grid of configurations and sizes with ``wins`` by row and column; other tiles show a dash."""
    grid = grid_of(rows, len(sizes), frame.page)
    figure = new_figure(frame, 0.7 + grid.down * len(rows), _keys(frame, [*wins.values()]), grid.width)
    axes = figure.subplots()
    for place in ((row, column) for row in range(len(rows)) for column in range(len(sizes))):
        _tile(axes, frame, grid, place, wins.get(place))
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _label(axes, frame.page, grid, rows, [size_label(size) for size in sizes])
    axes.set_xlabel("message size")
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _keys(frame: Frame, wins: Sequence[Win]) -> list[Key]:
    """A key for each winner, and for each mark in use."""
    names = [Patch(facecolor=frame.styles[name][0], label=name) for name in sorted({win.name for win in wins})]
    marks = [mark for mark in HATCHES if any(win.mark == mark for win in wins)]
    hatched: dict[str, Any] = {"facecolor": GREY, "edgecolor": "white", "linewidth": 0}
    return [*names, *(Patch(hatch=HATCHES[mark], label=f"{mark} {KEYS[mark]}", **hatched) for mark in marks)]


def _label(axes: Axes, page: Page, grid: Grid, rows: Sequence[str], sizes: Sequence[str]) -> None:
    """Label every row and column, or every n-th where labels would overlap."""
    longest = max(inches(line, SMALLEST) for label in sizes for line in label.splitlines())
    step = math.ceil(1.15 * longest / grid.across)
    font = min(0.9 * page.font, SMALLEST * step * grid.across / (1.15 * longest))
    axes.set_xticks(range(0, len(sizes), step), sizes[::step], fontsize=font)
    step = math.ceil(0.6 * DOWN / grid.down)
    axes.set_yticks(range(0, len(rows), step), rows[::step])


def _tile(axes: Axes, frame: Frame, grid: Grid, place: tuple[int, int], win: Win | None) -> None:
    """A tile in the colour of the winner; hatched where it is uncertain, with the number on plain ground."""
    row, column = place
    paper = frame.styles[win.name][0] if win else "#f2f2f2"
    hatch = HATCHES.get(win.mark) if win else None
    edge = min(1.5, 0.08 * 72 * min(grid.across, grid.down))
    axes.add_patch(
        Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=paper, edgecolor="white", linewidth=edge, hatch=hatch)
    )
    if grid.has_numbers:
        ground = {"boxstyle": "square,pad=0.15", "facecolor": paper, "linewidth": 0} if hatch else None
        place_of: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": max(SMALLEST, 0.8 * frame.page.font)}
        axes.text(column, row, _text(win), color=_ink(paper), bbox=ground, **place_of)


def _text(win: Win | None) -> str:
    if win is None:
        return "-"
    if win.factor is None:
        return "only"
    return f"{win.mark}{show_factor(win.factor)}"


def _ink(paper: str) -> str:
    red, green, blue = (int(paper[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.38 else "white"
