"""The page of a figure: its width and fonts, title, legend and foot; and its files."""

from __future__ import annotations

import functools
import io
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import text_to_path

from collbench.results.writing import replace_bytes
from collbench.views.palette import GREY, RED, Style

SMALLEST = 7.0  # points; smaller print is not readable
POINTS = 72.0  # in an inch
KEPT = "\N{NO-BREAK SPACE}"  # where no line is to end
# "4 × H100 80GB HBM3" and "(2 virtual nodes", which no line of a title is to part.
WHOLE = re.compile(r"\d ×(?: [^\s(,]+){1,3}|\(\S+ (?:virtual )?nodes?")
MARGIN = 0.1  # inches left and right of title, legend and foot
# What each format leaves out, so that the same numbers give the same bytes.
FORMATS: Mapping[str, Mapping[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
# The hash salt makes the identifiers in an SVG reproducible. Text in an SVG is drawn as shapes, which look alike where
# the font is missing; in a PDF it is TrueType, since publishers refuse Type 3.
LOOK: Mapping[str, Any] = {
    "svg.hashsalt": "collbench",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "hatch.linewidth": 1.2,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "savefig.dpi": 160,
}
Key = Line2D | Patch


@dataclass(frozen=True)
class Page:
    """Width (inches) and ordinary font (points) of a figure, and the heights of its axes relative to the screen's."""

    width: float
    font: float
    tall: float

    @property
    def small(self) -> float:
        """Points of the small print."""
        return max(SMALLEST, 0.7 * self.font)

    @property
    def em(self) -> float:
        """The ordinary font in inches."""
        return self.font / POINTS


SCREEN = Page(9.0, 10.0, 1.0)  # 900 px of a README at 100 px an inch
COLUMNS: Mapping[str, Page] = {"one": Page(3.5, 8.0, 0.62), "two": Page(7.16, 8.5, 0.8)}  # those of a paper


@dataclass(frozen=True)
class Frame:
    """The frame of a chart: its title, small print at the foot, colour and marker of every name, a warning in red below
    the title, its page, and what the line styles of two runs mean: dashed, then solid."""

    title: str
    foot: str
    styles: Mapping[str, Style]
    warning: str = ""
    page: Page = SCREEN
    runs: tuple[str, ...] = ()


def look(page: Page = SCREEN) -> Any:
    """Context for making and saving figures: this style over matplotlib's defaults, without the user's settings."""
    sizes = {"font.size": page.font, "lines.linewidth": 0.18 * page.font, "lines.markersize": 0.5 * page.font}
    return style.context(["default", {**LOOK, **sizes}])


def save(figure: Figure, path: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write ``path`` with the ending of each of ``formats`` appended, byte for byte reproducible; returns the paths.

    Raises UsageError if they cannot be written, and OutputError on a full disk.
    """
    paths = []
    _settle(figure)
    for kind in formats:
        content = io.BytesIO()
        figure.savefig(content, format=kind, metadata=dict(FORMATS[kind]))
        paths.append(path.with_name(f"{path.name}.{kind}"))
        replace_bytes(paths[-1], content.getvalue())
    return paths


def _settle(figure: Figure) -> None:
    """Lay the axes out for good, rounded: the solver's last bits differ from time to time."""
    engine = figure.get_layout_engine()
    assert engine, "new_figure gives it one"
    engine.execute(figure)
    figure.set_layout_engine(None)  # "none" keeps an engine, for which savefig draws everything twice
    for axes in figure.axes:
        left, bottom, width, height = (round(value, 5) for value in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


@functools.cache
def inches(text: str, points: float, bold: bool = False) -> float:
    """The width of a line of text, with room for hinting, which widens it by part of a pixel a letter."""
    font = FontProperties(family="DejaVu Sans", size=points, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return 1.04 * float(width) / POINTS


def wrapped(text: str, width: float, points: float, bold: bool = False) -> list[str]:
    """The lines of a text, none wider than ``width`` inches unless it is one word."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and inches(longer, points, bold) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return [line.replace(KEPT, " ") for line in lines]


def balanced(text: str, width: float, points: float, bold: bool = False) -> list[str]:
    """`wrapped`, with lines of nearly the same length: as narrow as they can be without one line more."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        tries = [wrapped(paragraph, width * part / 20, points, bold) for part in range(20, 9, -1)]
        lines += [each for each in tries if len(each) == len(tries[0])][-1]
    return lines


def new_figure(frame: Frame, height: float, keys: Sequence[Key], width: float | None = None) -> Figure:
    """An empty figure with ``height`` inches for the axes: title, warning and legend above, small print below."""
    page, across = frame.page, width or frame.page.width
    room, large = across - 2 * MARGIN, 1.15 * page.font
    title = balanced(WHOLE.sub(lambda found: found[0].replace(" ", KEPT), frame.title), room, large, bold=True)
    alarm = wrapped(frame.warning, room, 0.85 * page.font, bold=True)
    foot = wrapped(frame.foot, room, page.small)
    columns = _columns(keys, page, room)
    warned = MARGIN + _height(title, large)
    under = warned + 0.35 * page.em + (_height(alarm, 0.85 * page.font) + 0.35 * page.em if alarm else 0)
    top = under + 1.6 * page.em * math.ceil(len(keys) / columns) + 0.3 * page.em
    below = MARGIN + _height(foot, page.small) + 0.3 * page.em
    whole = height + top + below
    figure = Figure(figsize=(across, whole))
    inset = 0.06 / across
    figure.set_layout_engine("constrained", rect=(inset, below / whole, 1 - 2.5 * inset, 1 - (top + below) / whole))
    left = MARGIN / across
    bold: dict[str, Any] = {"weight": "bold", "parse_math": False}  # a $ in a title or a name is a $
    figure.text(left, 1 - MARGIN / whole, "\n".join(title), va="top", fontsize=large, **bold)
    grey: dict[str, Any] = {"color": GREY, "parse_math": False}
    figure.text(left, 0.7 * MARGIN / whole, "\n".join(foot), va="bottom", fontsize=page.small, **grey)
    if alarm:
        red: dict[str, Any] = {"color": RED, "fontsize": 0.85 * page.font, **bold}
        figure.text(left, 1 - warned / whole - 0.35 * page.em / whole, "\n".join(alarm), va="top", **red)
    place: dict[str, Any] = {"bbox_to_anchor": (left, 1 - under / whole), "ncols": columns}
    pads: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0, "columnspacing": 1.6, "handletextpad": 0.6}
    legend = figure.legend(handles=keys, loc="upper left", frameon=False, **place, **pads)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _height(lines: Sequence[str], points: float) -> float:
    """Inches of lines of text, one below the other."""
    return 1.25 * points / POINTS * len(lines)


def _columns(keys: Sequence[Key], page: Page, room: float) -> int:
    """How many columns of a legend fit side by side, at least one."""
    widths = [inches(str(key.get_label()), page.font) + 4.2 * page.em for key in keys]
    counts = (count for count in range(len(keys), 1, -1) if _across(widths, count) <= room + 1.6 * page.em)
    return next(counts, 1)


def _across(widths: Sequence[float], columns: int) -> float:
    """The width of a legend, which fills one column after another; the first ones have one key more than the others."""
    rows, longer = divmod(len(widths), columns)
    ends = [rows * place + min(place, longer) for place in range(columns + 1)]
    return sum(max(widths[start:end]) for start, end in itertools.pairwise(ends))
