"""The numbers of charts are those of tables and of other charts."""

from __future__ import annotations

from collections.abc import Sequence

from samples import timed, untimed

from collbench.fit.measured import range_of
from collbench.report.charts import Chart, Line
from collbench.report.curves import Artist
from collbench.report.looks import Looks
from collbench.report.panels import ALONE, BOUND, BUS, LATENCY, panel_chart, scaling_chart
from collbench.results.cases import cases
from collbench.results.records import Record
from collbench.views.comparison import compare_backends
from collbench.views.groups import by_panel, families

ROWS = [
    timed(us * factor * size / 4096, backend=name, bytes=size, launch=launch, latency_us_p05=1.0, latency_us_p95=99.0)
    for name, factor in (("nccl", 1.0), ("nvrar", 0.5))
    for size in (4096, 8192)
    for launch, us in enumerate((10.0, 10.1, 10.2))
]


def chart_of(*runs: Sequence[Record], every_launch: bool = True) -> Chart:
    """The chart of the only panel of these runs."""
    names = ("old", "new") if len(runs) > 1 else ("", "")
    artist = Artist(Looks({row.backend for run in runs for row in run}), {}, names, every_launch)
    (sides,) = by_panel(runs).values()
    return panel_chart(artist, "chart1", sides)


def lines_of(chart: Chart, pane: int = 0, view: str = LATENCY) -> dict[tuple[str, bool], Line]:
    return {(line.name, line.dashed): line for line in chart.views[view][pane].lines}


def test_a_point_has_median_interval_percentiles_and_launches() -> None:
    point = lines_of(chart_of(ROWS))["nvrar", False].points[0]
    case = next(each for each in cases(ROWS) if (each.record.backend, each.record.bytes) == ("nvrar", 4096))
    assert (point.x, point.y, point.launches) == (4096, case.median(), 3)
    assert (point.interval, point.low, point.high) == (range_of(case), 1.0, 99.0)
    assert point.each == (5.0, 5.05, 5.1)
    assert lines_of(chart_of(ROWS, every_launch=False))["nvrar", False].points[0].each == ()


def test_two_launches_have_no_interval_and_one_has_its_own() -> None:
    two, one = ([row for row in ROWS if row.launch < number] for number in (2, 1))
    assert lines_of(chart_of(two))["nccl", False].points[0].interval is None
    point = lines_of(chart_of(one))["nccl", False].points[0]
    assert (point.interval, point.each) == ((9.9, 10.1), ())
    assert chart_of(one).views[LATENCY][0].interval == "95 % in this launch"


def test_speedups_are_the_ratios_of_compare_the_other_way_round() -> None:
    point = lines_of(chart_of(ROWS), pane=1)["nvrar", False].points[1]
    judged = next(row for row in compare_backends(ROWS).judged if row.record.bytes == 8192)
    assert point.y is not None
    assert abs(point.y * judged.ratio.value - 1) < 1e-12
    assert (judged.ratio.verdict, point.words) == ("faster", "faster than nccl")
    assert point.low is not None
    assert judged.ratio.high is not None
    assert abs(point.low * judged.ratio.high - 1) < 1e-12


def test_a_case_without_a_number_is_marked_with_its_reason() -> None:
    rows = [*ROWS, untimed("wrong", "rank 1 <b>", backend="nvrar", bytes=16384)]
    found = lines_of(chart_of(rows))
    assert [(point.y, point.words) for point in found["nvrar", False].points if point.x == 16384] == [
        (None, "wrong: rank 1 <b>")
    ]
    assert all(point.x != 16384 for point in lines_of(chart_of(rows), view=BUS)["nccl", False].points)


def test_a_backend_without_any_number_is_there_with_its_marks_and_one_that_was_skipped_is_not() -> None:
    rows = [*ROWS, untimed("failed", "x", backend="mine"), untimed("skipped", "no GPU", backend="theirs")]
    assert {name for name, _ in lines_of(chart_of(rows))} == {"nccl", "nvrar", "mine"}


def test_of_two_runs_the_first_is_dashed_and_the_second_is_judged_by_it() -> None:
    slower = [
        timed(2 * (row.latency_us_median or 0), backend=row.backend, bytes=row.bytes, launch=row.launch) for row in ROWS
    ]
    chart = chart_of(ROWS, slower)
    assert {("nccl", True), ("nccl", False)} <= lines_of(chart).keys()
    assert [point.words for point in lines_of(chart, pane=1)["nccl", False].points] == ["slower than old"] * 2
    assert chart.views[LATENCY][1].shade is not None
    assert chart.strokes == ("old", "new")


def test_the_lower_bound_is_a_line_of_its_own() -> None:
    rows = [timed(10.0, bytes=size, bound_us=bound) for size, bound in ((4096, 1.0), (8192, 2.0))]
    line = lines_of(chart_of(rows), view=ALONE)[BOUND, False]
    assert [(point.x, point.y) for point in line.points] == [(4096, 1.0), (8192, 2.0)]


def test_scaling_has_a_pane_for_each_size_over_ranks() -> None:
    rows = [timed(float(ranks), ranks=ranks, gpus_per_node=4, nodes=ranks // 4) for ranks in (4, 8, 16)]
    (sides,) = families(by_panel([rows])).values()
    chart = scaling_chart(Artist(Looks({"mpi"}), {}), "chart1", sides)
    (pane,) = chart.views[""]
    assert (pane.title, chart.axis.ticks) == ("4 KiB", ((4, "4"), (8, "8"), (16, "16")))
    assert [point.y for point in pane.lines[0].points] == [4.0, 8.0, 16.0]
