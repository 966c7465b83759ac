"""Bands and bars of lines, and marks of cases that went wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from charts import SIZES, TWO, Draw, a_run, legend, numbers, row, rows, words
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure

from collbench.views.curves import FLAWS
from collbench.views.figures import charts
from collbench.views.page import look
from collbench.views.palette import KNOWN


def bars(axes: Axes) -> list[LineCollection]:
    return [shape for shape in axes.collections if isinstance(shape, LineCollection)]


def areas(axes: Axes) -> int:
    """The number of shaded bands."""
    return sum(not isinstance(shape, (LineCollection, PathCollection)) for shape in axes.collections)


def marks(figure: Figure, axes: int = 0) -> list[tuple[str, float, float]]:
    """The marks of an axes: marker, size and height."""
    shapes = [shape for shape in figure.axes[axes].lines if shape.get_linestyle() == "None"]
    return [(str(s.get_marker()), *numbers(s.get_xdata()), *numbers(s.get_ydata())) for s in shapes]  # type: ignore[misc]


def test_bands_that_overlap_become_bars_beside_each_other(draw: Draw) -> None:
    apart, near = (draw(rows({"nccl": us, "nvrar": 10.0}))["x-latency"].axes[0] for us in (20.0, 10.5))
    assert (areas(apart), len(bars(apart))) == (2, 0)
    assert (areas(near), len(bars(near))) == (0, 2)
    (one, other) = ([[point[0] for point in ends] for ends in each.get_segments()] for each in bars(near))
    for size, left, right in zip(SIZES, one, other, strict=True):
        assert left[0] == left[1] < size < right[0] == right[1]
        assert right[0] / left[0] < 1.3


def test_bars_stand_at_their_place_where_none_overlap(draw: Draw) -> None:
    near, far = {"nccl": 10.5, "nvrar": 10.0}, {"nccl": 99.0, "nvrar": 10.0}
    found = [
        row(name, size, us, ranks=ranks, gpus_per_node=ranks)
        for size, speeds in ((4096, near), (8192, far))
        for name, us in speeds.items()
        for ranks in (2, 4)
    ]
    for axes, is_beside in zip(draw(found)["x-scaling"].axes, (True, False), strict=True):
        places = [ends[0][0] for bar in bars(axes) for ends in bar.get_segments()]
        assert (places != [2, 4, 2, 4]) is is_beside


def test_bars_that_would_hide_behind_a_marker_are_left_out(draw: Draw) -> None:
    thin = {"latency_us_p05": 9.99, "latency_us_p95": 10.01}
    same = [replace(each, **thin) for name in TWO for each in rows({name: 10.0})]  # type: ignore[arg-type]
    axes = draw([*same, *rows({"nvshmem": 9000.0})])["x-latency"].axes[0]
    assert bars(axes) == []


def test_bands_of_many_sizes_stay_bands(draw: Draw) -> None:
    records = [row(name, 4 * size, 10.0) for name in TWO for size in range(1, 60)]
    assert areas(draw(records)["x-latency"].axes[0]) == 2


@pytest.mark.parametrize("status", FLAWS)
def test_a_bad_case_is_marked_at_its_size_where_the_line_would_pass(draw: Draw, status: str) -> None:
    good = [row("nvrar", size, us) for size, us in ((4096, 10.0), (65536, 40.0))]
    bad = row("nvrar", 16384, None, status=status)
    figures = draw([*good, bad, *rows({"nccl": 90.0})])
    figure = figures["x-latency"]
    ((marker, size, height),) = marks(figure)
    assert (marker, size) == (FLAWS[status], 16384)
    assert height == pytest.approx(20.0)
    label = "timed out" if status == "timeout" else status
    assert legend(figure)[label].get_marker() == FLAWS[status]
    assert "their height has no meaning" in words(figure)
    ((marker, size, _),) = marks(figures["x-bandwidth"])
    assert (marker, size) == (FLAWS[status], 16384)


def test_skipped_cases_are_gaps_without_a_mark(draw: Draw) -> None:
    figure = draw([*rows(TWO), row("nvrar", 128, None)])["x-latency"]
    assert marks(figure) == []
    assert "their height" not in words(figure)


def test_a_backend_that_was_never_right_is_at_the_foot_and_in_the_legend(draw: Draw) -> None:
    bad = [row(name, SIZES[0], None, status="wrong") for name in ("nvrar", "nvshmem")]
    figure = draw([*rows({"nccl": 9.0}), *bad])["x-latency"]
    heights = [height for _, _, height in marks(figure)]
    assert 0 < heights[0] < heights[1] < 0.25  # of the axes
    assert {"nccl", "nvrar", "nvshmem", "wrong"} <= set(legend(figure))


def test_a_bad_case_among_worlds_is_marked_at_its_number_of_ranks(draw: Draw) -> None:
    def world(ranks: int, **fields: Any) -> list[Any]:
        return rows({"nccl": 9.0}, ranks=ranks, gpus_per_node=ranks, **fields)

    bad = [replace(each, status="wrong", latency_us_median=None) for each in world(8)]
    figure = draw([*world(2), *world(4), *bad, *rows({"nvrar": 9.0}, ranks=8, gpus_per_node=8)])["x-scaling"]
    assert {(marker, at) for marker, at, _ in marks(figure)} == {("x", 8)}


def test_the_peak_of_the_link_is_a_line_where_gpu_and_link_are_known() -> None:
    with look():
        known, unknown, other = (
            next(chart.figure for chart in charts([run]) if chart.name == "bandwidth")
            for run in (
                a_run(rows(TWO), gpu="NVIDIA H200"),
                a_run(rows(TWO)),
                a_run(rows(TWO, fabric="pcie"), gpu="NVIDIA H200"),
            )
        )
    assert "NVLink peak, 450 GB/s" in legend(known)
    assert [450.0, 450.0] in [numbers(line.get_ydata()) for line in known.axes[0].lines]
    assert known.axes[0].get_ylim()[1] > 450
    assert "data sheet" in words(known)
    for figure in (unknown, other):
        assert not any("peak" in label for label in legend(figure))


def test_lines_keep_their_colours_beside_marks(draw: Draw) -> None:
    figure = draw([*rows({"nccl": 9.0}), row("nvrar", 64, 9.0), row("nvrar", 128, None, status="failed")])["x-latency"]
    (mark,) = (shape for shape in figure.axes[0].lines if shape.get_linestyle() == "None")
    assert mark.get_color() == KNOWN["nvrar"][0]
