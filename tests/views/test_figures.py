"""Charts: which are drawn, what they say, and that the same records give the same bytes."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from charts import SIZES, TWO, Draw, band, draw_all, foot, legend, line, numbers, row, rows, title, words
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from collbench.errors import OutputError, UsageError
from collbench.plan.sizes import format_size
from collbench.results.mismatch import mismatch
from collbench.results.records import JOB, Record
from collbench.views import figures, page
from collbench.views.chart_set import ChartOptions
from collbench.views.palette import KNOWN, RED
from collbench.views.runs import Run

# Files


def test_files_are_written_and_hold_pictures(tmp_path: Path) -> None:
    paths = draw_all(rows(TWO), tmp_path / "new" / "folder", "run", None)
    names = [f"run-{kind}.{end}" for kind in ("latency", "bandwidth", "best") for end in ("png", "svg")]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(names)
    for path in paths:
        if path.suffix == ".png":
            head = path.read_bytes()[:24]
            assert head.startswith(b"\x89PNG")
            assert int.from_bytes(head[16:20]) == page.SCREEN.width * 160
            assert path.stat().st_size > 10_000
        else:
            assert len(list(ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}path"))) > 30


def test_same_records_give_the_same_bytes_whatever_the_users_settings(tmp_path: Path) -> None:
    records = rows(TWO)
    first = draw_all(records, tmp_path / "a", "run", None)
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": None, "legend.fontsize": 30, "lines.linestyle": "--"}):
        second = draw_all(records[::-1], tmp_path / "b", "run", None)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    svg = next(path for path in first if path.suffix == ".svg").read_text()
    assert "dc:date" not in svg


def test_drawing_leaves_the_users_settings_alone(tmp_path: Path) -> None:
    names = set(mpl.rcParams) - {"backend"}  # which is looked for when it is read
    before = {name: mpl.rcParams[name] for name in names}
    draw_all(rows(TWO), tmp_path, "run", None)
    assert {name: mpl.rcParams[name] for name in names} == before


def test_one_more_number_changes_the_bytes(tmp_path: Path) -> None:
    first = draw_all(rows(TWO), tmp_path / "a", "run", None)
    second = draw_all([*rows(TWO)[:-1], row("nvrar", SIZES[-1], 11.0)], tmp_path / "b", "run", None)
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(first, second, strict=True))


def test_names_tell_panels_apart_by_what_differs(draw: Draw) -> None:
    panels = [("bfloat16", "chain", 8), ("bfloat16", "isolated", 8), ("float32", "chain", 2)]
    records = [record for d, m, r in panels for record in rows(TWO, dtype=d, mode=m, ranks=r, gpus_per_node=r)]
    latency = {name for name in draw(records) if "latency" in name}
    assert latency == {"x-latency-bf16-chain-8r", "x-latency-bf16-isolated-8r", "x-latency-f32-chain-2r"}


def test_names_are_unique_and_plain_even_for_odd_fabrics(draw: Draw) -> None:
    odd = ("a b", "a/b", "a;b", "../b", "$(b)")
    names = list(draw([record for fabric in odd for record in rows(TWO, fabric=fabric)]))
    assert len([name for name in names if "latency" in name]) == len(odd)
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        draw_all(rows(TWO), tmp_path / "file", "x", None)


def test_a_full_disk_is_no_mistake_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda path, target: os.write(os.open("/dev/full", os.O_WRONLY), b"x"))
    with pytest.raises(OutputError, match=r"x-latency\.png cannot be written: No space left on device"):
        draw_all(rows(TWO), tmp_path, "x", None)
    assert list(tmp_path.iterdir()) == []


def test_charts_are_named_after_the_files_of_their_rows(tmp_path: Path) -> None:
    two, four = (rows(TWO, ranks=ranks, gpus_per_node=ranks) for ranks in (2, 4))
    sources = {**dict.fromkeys(two, Path("results/a.csv")), **dict.fromkeys(four, Path("results/b.csv"))}
    names = {path.stem for path in figures.draw_all([Run([*two, *four], sources)], tmp_path, ChartOptions())}
    assert names == {
        "a-latency-2r", "b-latency-4r", "a-bandwidth-2r", "b-bandwidth-4r", "a+b-scaling", "a+b-best",
    }  # fmt: skip


@pytest.mark.parametrize("records", [[], rows({"nccl": 0.0}), [row("nccl", 4096, 9.0, status="wrong")]])
def test_nothing_to_draw_is_a_usage_error_and_leaves_no_folder(records: list[Record], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no case in these results has a latency"):
        draw_all(records, tmp_path / "plots", "x", None)
    assert not (tmp_path / "plots").exists()


# Lines, gaps and bands


@pytest.mark.parametrize("status", ["skipped", "failed", "wrong", "timeout"])
def test_a_size_without_a_number_breaks_the_line(draw: Draw, status: str) -> None:
    gap = row("nvrar", SIZES[1], None, status=status)
    figures = draw([*(record for record in rows(TWO) if record.identity != gap.identity), gap])
    for name in ("x-latency", "x-bandwidth"):
        assert [math.isnan(y) for y in line(figures[name], "nvrar")] == [False, True, False, False, False]
        assert not any(math.isnan(y) for y in line(figures[name], "nccl"))
        assert f"1 {status}" in foot(figures[name])
    assert [math.isnan(y) for y in line(figures["x-latency"], "nvrar", axes=1)] == [False, True, False, False, False]


def test_a_size_that_another_backend_alone_has_breaks_the_line(draw: Draw) -> None:
    records = [record for record in rows(TWO) if (record.backend, record.bytes) != ("nvrar", SIZES[2])]
    assert math.isnan(line(draw(records)["x-latency"], "nvrar")[2])


def test_one_wrong_launch_condemns_the_case(draw: Draw) -> None:
    launches = [record for launch in range(3) for record in rows(TWO, launch=launch)]
    bad = replace(launches[-1], latency_us_median=None, status="wrong")
    assert math.isnan(line(draw([*launches[:-1], bad])["x-latency"], "nvrar")[-1])


def test_line_and_band_are_medians_over_launches(draw: Draw) -> None:
    records = [record for launch, us in enumerate((10.0, 30.0, 12.0)) for record in rows({"nccl": us}, launch=launch)]
    figure = draw(records)["x-latency"]
    assert line(figure, "nccl") == [12.0] * len(SIZES)
    assert band(figure) == pytest.approx((12 * 0.9, 12 * 1.2))
    assert "3 launches" in foot(figure)


def test_a_lone_point_keeps_its_band_as_a_bar(draw: Draw) -> None:
    alone, joined = draw([row("nccl", 4096, 10.0)])["x-latency"], draw(rows({"nccl": 10.0}))["x-latency"]
    (bar,) = (shape for shape in alone.axes[0].collections if isinstance(shape, LineCollection))
    assert [numbers(end[1] for end in ends) for ends in bar.get_segments()] == [pytest.approx([9.0, 12.0])]
    assert not any(isinstance(shape, LineCollection) for shape in joined.axes[0].collections)


def test_axes_are_logarithmic_without_twins_and_in_binary_units(draw: Draw) -> None:
    figure = draw(rows(TWO))["x-latency"]
    upper, lower = figure.axes
    assert (upper.get_xscale(), upper.get_yscale()) == ("log", "log")
    assert upper.get_position().y0 >= lower.get_position().y1
    ticks = [label.get_text() for label in lower.get_xticklabels()]
    assert ticks[0] == "4\nKiB"
    assert ticks[-1] == "4\nMiB"
    assert "5 to 95 %" in upper.get_ylabel()


def test_the_lower_bound_is_dotted_where_there_is_one(draw: Draw) -> None:
    without = draw(rows(TWO))["x-latency"]
    figure = draw([replace(record, bound_us=3.0) for record in rows(TWO)])["x-latency"]
    assert "lower bound" not in legend(without)
    assert legend(figure)["lower bound"].get_linestyle() == ":"
    dotted = [shape for shape in figure.axes[0].lines if shape.get_linestyle() == ":"]
    assert [numbers(shape.get_ydata()) for shape in dotted] == [[3.0] * len(SIZES)]


def test_of_one_size_the_tick_is_the_size_and_the_bound_a_line_across(draw: Draw) -> None:
    axes = draw([row(name, 2052096, us, bound_us=3.0) for name, us in TWO.items()])["x-latency"].axes
    assert numbers(axes[1].get_xticks()) == [2052096]
    (bound,) = [shape for shape in axes[0].lines if shape.get_linestyle() == ":"]
    assert numbers(bound.get_ydata()) == [3.0, 3.0]


def test_no_bandwidth_chart_without_bandwidths(draw: Draw) -> None:
    assert "x-bandwidth" not in draw([replace(record, busbw_gb_s=None) for record in rows(TWO)])


# Speed-up


@pytest.mark.parametrize(
    ("names", "given", "used"),
    [
        (("mpi", "nccl", "nvrar"), None, "nccl"),
        (("aaa", "mpi", "nvrar"), None, "mpi"),
        (("mpi", "nccl", "nvrar"), "nvrar", "nvrar"),
    ],
)
def test_baseline(draw: Draw, names: tuple[str, ...], given: str | None, used: str) -> None:
    lower = draw(rows(dict.fromkeys(names, 10.0)), given)["x-latency"].axes[1]
    assert lower.get_ylabel() == f"speed-up over {used}\nabove 1 is faster"
    assert len(lower.lines) == 1 + len(names) - 1  # the line at 1 and every other backend


def test_a_baseline_may_be_the_best_of_a_family(draw: Draw) -> None:
    us = {"nvrar": (5.0, 5.0, 4.0, 5.0), "nccl": (9.0, 9.0, 8.0, 10.0), "nccl-symm": (10.0, 10.0, 1.0, 1.0)}
    records = [row(name, size, us[name][at], launch=at) for name in us for at in range(4) for size in SIZES]
    figure = draw(records, "best(nccl)")["x-latency"]
    assert figure.axes[1].get_ylabel().startswith("speed-up over best(nccl)\n")
    assert line(figure, "nvrar", axes=1) == pytest.approx([2.0] * len(SIZES)), "nccl in the last two launches"
    assert "best(nccl): at each size the fastest of nccl, nccl-symm in the first half" in words(figure)
    assert f"Chosen: nccl {format_size(SIZES[0])} to {format_size(SIZES[-1])}." in words(figure)


def test_a_faster_backend_is_above_1(draw: Draw) -> None:
    figure = draw(rows(TWO))["x-latency"]
    assert line(figure, "nvrar", axes=1) == pytest.approx([2.0] * len(SIZES))
    assert numbers(figure.axes[1].lines[0].get_ydata()) == [1, 1]
    low, high = figure.axes[1].get_ylim()
    assert low < 1
    assert high > 2


def test_speed_up_pairs_the_launches(draw: Draw) -> None:
    us = {"nccl": (10.0, 20.0, 30.0), "nvrar": (1.0, 20.0, 10.0)}
    order = [("nccl", 0), ("nvrar", 2), ("nccl", 1), ("nccl", 2), ("nvrar", 0), ("nvrar", 1)]
    records = [row(name, 4096, us[name][launch], launch=launch) for name, launch in order]
    shown = line(draw(records)["x-latency"], "nvrar", axes=1)
    assert shown == pytest.approx([30 ** (1 / 3)])  # the mean of 10, 1 and 3; not 20 / 10


def test_speed_ups_have_a_band_over_launches_from_three_on(draw: Draw) -> None:
    def figure(launches: int) -> Figure:
        us = {"nccl": (20.0, 21.0, 20.0), "nvrar": (10.0, 10.0, 10.1)}
        return draw(
            [row(name, size, us[name][at], launch=at) for name in us for at in range(launches) for size in SIZES]
        )["x-latency"]

    three, two = figure(3), figure(2)
    assert [len(each.axes[1].collections) for each in (three, two)] == [1, 0]
    assert "bar: Student's t, for launches like these; 95 % for all 5 sizes of a curve together" in words(three)
    assert "Speed-up: geometric mean over launches; 2 launches: no verdict." in words(two)


def test_no_speed_up_without_a_second_backend_or_a_shared_size(draw: Draw) -> None:
    assert len(draw(rows({"nccl": 10.0}))["x-latency"].axes) == 1
    assert len(draw([row("nccl", 4096, 10.0), row("nvrar", 8192, 10.0)])["x-latency"].axes) == 1


def test_an_unknown_baseline_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'nccl'"):
        draw_all(rows(TWO), tmp_path, "x", "ncll")
    with pytest.raises(UsageError, match=r"best\(mpi\) has no backend to choose from"):
        draw_all(rows(TWO), tmp_path, "x", "best(mpi)")


# Colours


def test_a_job_that_failed_changes_no_chart(draw: Draw) -> None:
    timed = rows({"mpi": 2.0, "theirs": 1.0})
    failed = row(JOB, 0, None, status="failed", collective="", dtype="", op="")
    before, after = (draw(records)["x-latency"] for records in (timed, [*timed, failed]))
    colours = [[curve.get_color() for curve in figure.axes[0].lines] for figure in (before, after)]
    assert colours[0] == colours[1]
    assert len(draw([*timed, failed])) == len(draw(timed))


def test_a_line_has_the_colour_and_marker_of_its_backend(draw: Draw) -> None:
    for figure in (draw(rows(TWO))["x-latency"], draw(rows({**TWO, "aaa": 3.0, "mpi": 7.0}))["x-latency"]):
        key = legend(figure)["nvrar"]
        assert (key.get_color(), key.get_marker()) == KNOWN["nvrar"]


# Titles


def test_every_chart_of_virtual_nodes_says_so(draw: Draw) -> None:
    fields: dict[str, Any] = {"fabric": "nvlink-virtual", "nodes": 2}
    virtual = [*rows(TWO, ranks=4, gpus_per_node=2, **fields), *rows(TWO, ranks=8, gpus_per_node=4, **fields)]
    figures = draw(virtual)
    assert {name.split("-")[1] for name in figures} == {"latency", "bandwidth", "scaling", "best"}
    assert all("virtual node" in title(figure) for figure in figures.values())
    assert not any("virtual" in title(figure) for figure in draw(rows(TWO)).values())


def test_titles_and_labels_stay_inside_the_figure(draw: Draw) -> None:
    long: dict[str, Any] = {"collective": "reduce_scatter", "dtype": "float8_e4m3", "ranks": 128, "nodes": 16}
    more: dict[str, Any] = {"fabric": "infiniband-virtual", "mode": "throughput", "in_place": True}
    speeds = {"nccl": 10.0, **{f"a_kernel_with_a_long_name_{index}": 20.0 + index for index in range(7)}}
    for figure in draw(rows(speeds, params="cache=cold", **long, **more)).values():
        with page.look():
            figure.draw_without_rendering()
        parts = [*figure.texts, *figure.legends, *figure.axes]
        boxes = [box for part in parts if (box := part.get_tightbbox())]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
        top, bottom, keys, *axes = boxes
        assert top.y0 >= keys.y1
        assert all(bottom.y1 <= box.y0 and box.y1 <= keys.y0 for box in axes)


# Scaling


def test_scaling_needs_two_numbers_of_ranks(draw: Draw) -> None:
    assert "x-scaling" not in draw(rows(TWO))
    figure = draw([*rows(TWO, ranks=8, gpus_per_node=8), *rows({"nccl": 8.0, "nvrar": 5.0})])["x-scaling"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["4 KiB", "256 KiB", "1 MiB", "4 MiB"]
    assert line(figure, "nvrar") == [5.0, 10.0]
    assert title(figure) == "all-reduce of float32 on 4 and 8 GPUs (one node, NVLink), calls chained in a CUDA graph"


def test_scaling_keeps_shapes_of_nodes_and_virtual_nodes_apart(draw: Draw) -> None:
    def layout(nodes: int, each: int, fabric: str) -> list[Record]:
        return rows(TWO, ranks=nodes * each, nodes=nodes, gpus_per_node=each, fabric=fabric)

    assert not any("scaling" in name for name in draw([*layout(1, 4, "nvlink"), *layout(2, 4, "nvlink-virtual")]))
    assert not any("scaling" in name for name in draw([*layout(2, 4, "slingshot"), *layout(4, 1, "slingshot")]))
    weak = draw([*layout(2, 4, "slingshot"), *layout(4, 4, "slingshot")])
    assert "on 8 and 16 ranks (2 and 4 nodes, Slingshot)" in title(weak["x-scaling"])
    axis = weak["x-scaling"].axes[0].xaxis
    assert [label.get_text() for label in axis.get_ticklabels()] == ["8\non 2", "16\non 4"]
    both = draw([*layout(2, 2, "slingshot"), *layout(2, 4, "slingshot"), *layout(4, 2, "slingshot")])
    assert {name for name in both if "scaling" in name} == {"x-scaling-2n", "x-scaling-2each"}


def alarms(figure: Figure) -> list[str]:
    """What stands in red, each in one line."""
    return [" ".join(text.get_text().split()) for text in figure.texts if text.get_color() == RED]


def test_backends_on_different_networks_are_named_in_red_on_every_chart(draw: Draw) -> None:
    cluster: dict[str, Any] = {"nodes": 2, "fabric": "infiniband"}
    records = [
        each
        for ranks in (4, 8)
        for name, took in (("nccl", "socket"), ("nvrar", "ibgda"))
        for each in rows({name: TWO[name]}, params=f"cache=hot;transport={took}", ranks=ranks, **cluster)
    ]
    found = draw(records)
    assert {name.split("-")[1] for name in found} == {"latency", "bandwidth", "scaling", "best"}
    for figure in found.values():
        assert alarms(figure) == [mismatch(records)]
        (legend,) = figure.legends
        renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
        below = min(text.get_window_extent(renderer).y0 for text in figure.texts if text.get_color() == RED)
        assert legend.get_window_extent(renderer).y1 <= below, "the legend stands below the warning"


def test_charts_of_one_network_have_nothing_in_red(draw: Draw) -> None:
    records = rows(TWO, nodes=2, fabric="infiniband", params="cache=hot;transport=ib")
    assert [alarms(figure) for figure in draw(records).values()] == [[]] * len(draw(records))
