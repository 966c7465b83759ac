"""A map of the fastest splits over batch and nodes, one for each source, from plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from collbench.views.page import SMALLEST, Frame, inches, new_figure

KINDS: Mapping[str, tuple[str, str]] = {
    "TP": ("#2a6f97", "white"), "hybrid": ("#e9c46a", "black"), "PP": ("#8a5a83", "white"),
}  # fmt: skip
CALLED = {"TP": "tensor parallelism", "hybrid": "tensor and pipeline parallelism", "PP": "pipeline parallelism"}
EMPTY = "#f2f2f2"
DOWN = 0.46  # inches of a tile


@dataclass(frozen=True)
class Tile:
    """The fastest split: its kind, its words, and its time."""

    kind: str
    split: str
    time: str


def split_map(
    frame: Frame, batches: Sequence[int], nodes: Sequence[int], tiles: Mapping[str, Mapping[tuple[int, int], Tile]]
) -> Figure:
    """One panel for each source; ``tiles`` by row (batch) and column (nodes)."""
    kinds = [kind for kind in KINDS if any(tile.kind == kind for panel in tiles.values() for tile in panel.values())]
    keys = [Patch(facecolor=KINDS[kind][0], label=CALLED[kind]) for kind in kinds]
    words = [word for panel in tiles.values() for tile in panel.values() for word in (tile.split, tile.time)]
    across = 0.16 + max((inches(word, SMALLEST) for word in words), default=0.5)
    columns = max(1, min(len(tiles), int((frame.page.width - 0.9) / (across * len(nodes) + 0.35))))
    rows = math.ceil(len(tiles) / columns)
    figure = new_figure(frame, rows * (0.75 + DOWN * len(batches)), keys)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in list(grid.flat)[len(tiles) :]:
        axes.set_visible(False)
    for axes, (source, panel) in zip(grid.flat, tiles.items(), strict=False):
        _draw(axes, batches, nodes, panel)
        axes.set_title(source, fontsize=frame.page.font, loc="left", parse_math=False)
    for axes in grid[:, 0]:
        axes.set_ylabel("batch")
    for axes in grid[-1]:
        axes.set_xlabel("nodes")
    return figure


def _draw(axes: Axes, batches: Sequence[int], nodes: Sequence[int], panel: Mapping[tuple[int, int], Tile]) -> None:
    for row, column in ((row, column) for row in range(len(batches)) for column in range(len(nodes))):
        tile = panel.get((row, column))
        paper, ink = KINDS[tile.kind] if tile else (EMPTY, "black")
        box = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=paper, edgecolor="white", linewidth=1.5)
        axes.add_patch(box)
        text = f"{tile.split}\n{tile.time}" if tile else "-"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=SMALLEST, linespacing=1.35)
    axes.set_xlim(-0.5, len(nodes) - 0.5)
    axes.set_ylim(len(batches) - 0.5, -0.5)
    axes.set_xticks(range(len(nodes)), [str(each) for each in nodes])
    axes.set_yticks(range(len(batches)), [str(each) for each in batches])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
