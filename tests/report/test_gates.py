"""The verdicts of a report are those of `collbench check`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from gates import GATE, launches
from nights import sidecar
from pages import read
from report.conftest import Write

from collbench.check import report
from collbench.results.records import dump


def a_check(folder: Path, goal: object = GATE.facts, slower: float = 1.1) -> Path:
    """The file of a check whose candidate is slower at one of three sizes."""
    known = json.loads(sidecar("2026-09-01T22:00:00+00:00", launches=5))["launches"]
    entries = [{**each, "sweep": {}, "goal": goal} for each in known]
    (folder / "check.json").write_text(json.dumps({"launches": entries}))
    (folder / "check.csv").write_text(dump(launches(5, (1.0, slower, 1.0))))
    return folder / "check.csv"


def test_a_check_has_its_headline_its_exit_code_and_its_changes(write: Write, tmp_path: Path) -> None:
    reader = read(write(a_check(tmp_path)))
    found = GATE.judge(launches(5, (1.0, 1.1, 1.0)))
    assert found is not None
    assert report.headline(found) in [each.text for each in reader.of("p")]
    headline = next(each for each in reader.of("p") if each.text == report.headline(found))
    assert headline.attributes["class"] == "bad"
    assert "collbench check exits with 4." in [each.text for each in reader.of("p")]
    (pane,) = reader.charts()["charts"]["chart2"]["views"][0]["panes"]
    marks = {line["n"]: line["p"] for line in pane["lines"]}
    change = found.cases[1].finding.change
    assert change is not None
    assert [len(marks[name]) for name in ("same", "slower")] == [2, 1]
    assert (marks["slower"][0][1], pane["shade"][1]) == (float(f"{change.value:.5g}"), 2.0)


def test_verdicts_of_gates_stand_first_with_a_link(write: Write, tmp_path: Path) -> None:
    reader = read(write(a_check(tmp_path)))
    assert [each.text for each in reader.of("h2")][:2] == ["Verdicts", "Summary"]
    found = GATE.judge(launches(5, (1.0, 1.1, 1.0)))
    assert found is not None
    first = reader.of("li")[len(reader.of("h2"))]  # after the links to all sections
    assert (first.text, first.attributes["class"]) == (f"Gates: check.csv: {report.headline(found)}", "bad")


def test_the_summary_of_a_check_has_its_base_as_baseline(write: Write, tmp_path: Path) -> None:
    path = a_check(tmp_path)
    assert "speed-up over new" in write(a_check(tmp_path, goal={}))
    page = write(a_check(tmp_path))
    assert "speed-up over old" in page
    assert "speed-up over new" not in page
    assert "speed-up over new" in write(path, baseline="new")


def test_a_sweep_and_a_file_whose_sidecar_is_damaged_have_no_gate(write: Write, tmp_path: Path) -> None:
    for goal in ({}, {"candidate": "new"}, None, 7):
        assert "Gates" not in write(a_check(tmp_path, goal))
    (tmp_path / "check.json").write_text("{")
    assert "Gates" not in write(tmp_path / "check.csv")


def test_two_files_are_judged_and_a_reason_stands_where_they_cannot_be(write: Write, tmp_path: Path) -> None:
    rows = launches(6)
    slow = [replace(row, latency_us_median=15.0 + row.launch / 99, latency_us_ci_high=20.0) for row in rows]
    for name, some in (("a", rows), ("b", slow), ("c", slow[:2])):
        (tmp_path / f"{name}.csv").write_text(dump(some))
    assert "b against a: slower at 6 of 6 cases, by " in write(tmp_path / "a.csv", tmp_path / "b.csv")
    assert "No judgement of c.csv against a.csv: a verdict needs" in write(tmp_path / "a.csv", tmp_path / "c.csv")


def test_a_size_without_a_base_is_missing_in_the_chart_too(write: Write, tmp_path: Path) -> None:
    path = a_check(tmp_path)
    path.write_text(dump(row for row in launches(5) if (row.backend, row.bytes) != ("old", 4096)))
    (pane,) = read(write(path)).charts()["charts"]["chart2"]["views"][0]["panes"]
    assert {line["n"]: len(line["p"]) for line in pane["lines"]} == {"missing": 1, "same": 2}
    assert "missing: no row of base" in pane["words"]
    assert "×: no latency" in write(path)
    assert "×: no latency" not in write(a_check(tmp_path))
