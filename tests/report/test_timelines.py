"""History in a report is that of `collbench history`."""

from __future__ import annotations

from pathlib import Path

from nights import a_night, launches_of
from pages import read
from report.conftest import Write
from samples import untimed

from collbench.results.nights import nights_in
from collbench.results.series import series_of
from collbench.views import history


def test_nights_have_the_result_of_history_and_points_with_commits(write: Write, tmp_path: Path) -> None:
    latencies = [10.0, 10.01, 9.99, 10.0, 10.02, 9.98, 10.0, 12.0, 12.1]
    paths = [a_night(tmp_path, day, launches_of(us), commit=f"c{day}") for day, us in enumerate(latencies)]
    reader = read(write(*paths[::-1]))
    result = history.page(series_of(nights_in(tmp_path).nights)).result
    assert result.startswith("slower: 1 of 1 case")
    assert result in [each.text for each in reader.of("p")]
    chart = reader.charts()["charts"]["chart2"]
    (pane,) = chart["views"][0]["panes"]
    points = pane["lines"][0]["p"]
    assert [round(point[1]) for point in points] == [0] * 7 + [20, 21]
    assert pane["words"][points[-1][5]] == "12.10 µs, commit c8, slower"
    assert "slower" not in pane["words"][points[0][5]]
    axis = reader.charts()["axes"][chart["axis"]]
    assert (axis["kind"], [words for _, words in axis["ticks"]][:2]) == ("time", ["2026-09-01", "2026-09-02"])


def test_a_night_without_a_number_says_why_and_new_versions_are_named(write: Write, tmp_path: Path) -> None:
    paths = [a_night(tmp_path, day, launches_of(10.0), nccl=f"2.{28 + day // 2}") for day in range(4)]
    paths.append(a_night(tmp_path, 4, [untimed("wrong", "rank 1 <b>")]))
    (pane,) = read(write(*paths)).charts()["charts"]["chart1"]["views"][0]["panes"]
    points = pane["lines"][0]["p"]
    assert (points[4][1], pane["words"][points[4][5]]) == (None, "wrong: rank 1 <b>, commit abc")
    assert "nccl 2.28 → 2.29" in pane["words"][points[2][5]]


def test_two_nights_are_before_and_after_and_not_a_history(write: Write, tmp_path: Path) -> None:
    assert "History" not in write(*(a_night(tmp_path, day, launches_of(10.0)) for day in range(2)))
