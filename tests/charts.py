"""Records for charts, and what figures show."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.views import figures
from collbench.views.chart_set import ChartOptions
from collbench.views.palette import styles
from collbench.views.runs import Run

SIZES = (4096, 65536, 1 << 18, 1 << 20, 1 << 22)
Draw = Callable[..., dict[str, Figure]]


def row(backend: str, size: int, us: float | None, **fields: Any) -> Record:
    """A record of an all-reduce on 4 ranks; without a latency where ``us`` is None."""
    plain = Record(
        run_id="run", launch=0, collective="all_reduce", backend=backend, dtype="float32", op="sum", bytes=size,
        count=size // 4, ranks=4, nodes=1, gpus_per_node=4, fabric="nvlink", mode="chain", in_place=False,
        params="cache=hot", status="ok" if us else "skipped", reason="",
    )  # fmt: skip
    if us:
        times = {"median": us, "ci_low": us * 0.99, "ci_high": us * 1.01, "p05": us * 0.9, "p95": us * 1.2}
        numbers: dict[str, Any] = {f"latency_us_{name}": value for name, value in times.items()}
        plain = replace(plain, busbw_gb_s=size / us / 1e3, **numbers)
    return replace(plain, **fields)


def rows(speeds: Mapping[str, float], **fields: Any) -> list[Record]:
    """Every size on every backend, each with one latency for all sizes."""
    return [row(name, size, us, **fields) for name, us in speeds.items() for size in SIZES]


TWO = {"nccl": 20.0, "nvrar": 10.0}


def draw_all(records: list[Record], folder: Path, stem: str, baseline: str | None) -> list[Path]:
    """Draw the charts of one results file."""
    return figures.draw_all([a_run(records, stem)], folder, ChartOptions(baseline))


def a_run(records: Sequence[Record], stem: str = "x", **facts: str) -> Run:
    """The rows of one results file, and the facts of its sidecar if there are any."""
    known: dict[Record, Facts] = dict.fromkeys(records, facts) if facts else {}
    return Run(records, dict.fromkeys(records, Path(f"{stem}.csv")), known)


def title(figure: Figure) -> str:
    """The title in one line."""
    return " ".join(figure.texts[0].get_text().split())


def foot(figure: Figure) -> str:
    return figure.texts[1].get_text()


def words(figure: Figure) -> str:
    """The foot in one line."""
    return " ".join(foot(figure).split())


def numbers(values: Any) -> list[float]:
    return [float(value) for value in values]


def line(figure: Figure, backend: str, axes: int = 0) -> list[float]:
    """The y values of a backend's line."""
    colour = styles([backend])[backend][0]
    shapes = [shape for shape in figure.axes[axes].lines if shape.get_linestyle() != "None"]
    found = [shape for shape in shapes if same_color(shape.get_color(), colour)]
    assert len(found) == 1
    return numbers(found[0].get_ydata())


def band(figure: Figure) -> tuple[float, float]:
    """From where to where everything but lines reaches."""
    paths = [path for shape in figure.axes[0].collections for path in shape.get_paths()]
    heights = [height for path in paths for height in np.asarray(path.vertices)[:, 1].tolist()]
    return min(heights), max(heights)


def legend(figure: Figure) -> dict[str, Any]:
    """The keys of the legend by their labels."""
    assert figure.legends
    return {str(key.get_label()): key for key in figure.legends[0].legend_handles if key}


def collisions(figure: Figure) -> list[tuple[str, str]]:
    """The words in and around the axes of a chart whose boxes have a point in common, in pairs."""
    figure.draw_without_rendering()
    shown = [text for axes in figure.axes for text in (*axes.texts, *_ticks(axes.xaxis), *_ticks(axes.yaxis))]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown if text.get_visible() and text.get_text()]
    return [(one[0], other[0]) for one, other in itertools.combinations(boxes, 2) if one[1].overlaps(other[1])]


def _ticks(axis: Axis) -> list[Text]:
    """The labels of ticks within the limits of the axis."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def tiles(figure: Figure) -> dict[tuple[int, int], tuple[str, str]]:
    """Colour and text of a map by row and column."""
    axes = figure.axes[0]
    papers = [to_hex(patch.get_facecolor()).upper() for patch in axes.patches]
    places = [(round(text.get_position()[1]), round(text.get_position()[0])) for text in axes.texts]
    words = [text.get_text() for text in axes.texts]
    return dict(zip(places, zip(papers, words, strict=True), strict=True))
