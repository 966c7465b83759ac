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
    "": ("#f2f2f2", "black"),
}  # fmt: skip
CALLED = {"TP": "tensor parallelism", "hybrid": "tensor and pipeline parallelism", "PP": "pipeline parallelism"}
DOWN = 0.46  # inches of a tile


@dataclass(frozen=True)
class Tile:
    """The kind of the fastest split and the words in its tile; a kind of "" where there is none."""

    kind: str
    words: str


def split_map(
    frame: Frame, label: str, nodes: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[Tile]]]
) -> Figure:
    """One panel for each source; in each, rows of tiles by what ``label`` says they are, over ``nodes``."""
    tiles = [tile for rows in panels.values() for row in rows.values() for tile in row]
    keys = [
        Patch(facecolor=KINDS[kind][0], label=CALLED[kind]) for kind in CALLED if any(t.kind == kind for t in tiles)
    ]
    across = 0.16 + max(inches(line, SMALLEST) for tile in tiles for line in tile.words.splitlines())
    columns = max(1, min(len(panels), int((frame.page.width - 0.9) / (across * len(nodes) + 0.35))))
    down = math.ceil(len(panels) / columns)
    most = max(map(len, panels.values()))
    figure = new_figure(frame, down * (0.75 + DOWN * most), keys)
    grid = figure.subplots(down, columns, squeeze=False)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes, (source, rows) in zip(grid.flat, panels.items(), strict=False):
        _draw(axes, list(rows.values()))
        axes.set_title(source, fontsize=frame.page.font, loc="left", parse_math=False)
        axes.set_xticks(range(len(nodes)), [str(each) for each in nodes])
        axes.set_yticks(range(len(rows)), list(rows), parse_math=False)
        axes.set_xlabel("nodes")
    for axes in grid[:, 0]:
        axes.set_ylabel(label)
    return figure


def _draw(axes: Axes, rows: Sequence[Sequence[Tile]]) -> None:
    for down, row in enumerate(rows):
        for across, tile in enumerate(row):
            paper, ink = KINDS[tile.kind]
            place = (across - 0.5, down - 0.5)
            axes.add_patch(Rectangle(place, 1, 1, facecolor=paper, edgecolor="white", linewidth=1.5))
            axes.text(
                across, down, tile.words, ha="center", va="center", color=ink, fontsize=SMALLEST, linespacing=1.35
            )
    axes.set_xlim(-0.5, len(rows[0]) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
