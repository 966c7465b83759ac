"""The files of a report, by what is in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from nights import a_night, launches_of
from replayed import a_launch
from samples import timed

from collbench.errors import UsageError
from collbench.report.inputs import read_inputs
from collbench.results import replays
from collbench.results.records import dump


def a_file(folder: Path, name: str, *rows: float, **cells: object) -> Path:
    """A results file with a row of the same case for each latency, or of the case with these cells."""
    path = folder / f"{name}.csv"
    path.write_text(dump(timed(us, launch=launch, **cells) for launch, us in enumerate(rows)), encoding="utf-8")
    return path


def silent(words: str) -> None:
    raise AssertionError(words)


def test_files_without_a_shared_case_are_one_run(tmp_path: Path) -> None:
    paths = [a_file(tmp_path, name, 1.0, backend=name) for name in ("a", "b", "c")]
    found = read_inputs(paths, (), silent)
    assert [len(run.records) for run in found.runs] == [3]
    assert (found.sources, found.nights, found.rows) == (paths, (), 3)


def test_two_files_that_share_a_case_are_before_and_after(tmp_path: Path) -> None:
    found = read_inputs([a_file(tmp_path, "b", 1.0), a_file(tmp_path, "a", 2.0)], (), silent)
    assert [run.records[0].latency_us_median for run in found.runs] == [1.0, 2.0]


def test_more_are_nights_and_every_case_is_that_of_its_last_night(tmp_path: Path) -> None:
    paths = [a_night(tmp_path, day, launches_of(10.0 + day)) for day in range(3)]
    old = replace(timed(7.0, bytes=8192), run_id="20260901T000000-vm")
    paths.append(a_night(tmp_path, 1, [replace(old, run_id="x")], commit="old").rename(tmp_path / "other.csv"))
    (tmp_path / "other.csv").with_suffix(".json").write_text(paths[1].with_suffix(".json").read_text())
    found = read_inputs([a_night(tmp_path, 1, launches_of(11.0)), *paths], (), silent)
    (run,) = found.runs
    assert sorted((row.bytes, row.latency_us_median) for row in run.records) == [(4096, 12.0)] * 3 + [(8192, 7.0)]
    assert (len(found.nights), found.rows) == (4, 10)
    assert all(run.facts[row]["gpu"] == "H200" for row in run.records)


def test_a_folder_stands_for_its_results_files_and_replays_are_set_apart(tmp_path: Path) -> None:
    a_file(tmp_path, "run", 1.0)
    (tmp_path / "run.samples.csv").write_text("row,sample,latency_us\n")
    (tmp_path / "replay.csv").write_text(replays.dump(a_launch(0, "nvrar", 200.0, 2.0)))
    found = read_inputs([tmp_path], (), silent)
    assert [path.name for path in found.sources] == ["run.csv"]
    assert [path.name for path in found.replays] == ["replay.csv"]
    assert not read_inputs([tmp_path / "replay.csv"], (), silent).runs


def test_conditions_select_rows(tmp_path: Path) -> None:
    path = a_file(tmp_path, "run", 1.0, 2.0)
    assert read_inputs([path], [("launch", "1")], silent).rows == 1
    with pytest.raises(UsageError, match="no row has"):
        read_inputs([path], [("launch", "7")], silent)


def test_an_empty_folder_and_a_missing_file_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no results files"):
        read_inputs([tmp_path], (), silent)
    with pytest.raises(UsageError, match="does not exist"):
        read_inputs([tmp_path / "no.csv"], (), silent)
