"""Charts of two runs, before and after a change, and what counts as two runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from charts import SIZES, a_run, legend, numbers, row, rows, words
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collbench.errors import UsageError
from collbench.results.files import sidecar_path
from collbench.results.records import Record, dump
from collbench.views.chart_set import ChartOptions
from collbench.views.figures import charts, draw_all
from collbench.views.page import look
from collbench.views.palette import KNOWN
from collbench.views.runs import load_runs


def launched(us: float, backend: str = "nvrar", sizes: tuple[int, ...] = SIZES) -> list[Record]:
    return [row(backend, size, us * (1 + launch / 1000), launch=launch) for launch in range(3) for size in sizes]


def drawn(before: list[Record], after: list[Record]) -> dict[str, Figure]:
    with look():
        return {chart.name: chart.figure for chart in charts([a_run(before, "old"), a_run(after, "new")])}


def lines(axes: Axes, backend: str = "nvrar") -> list[Line2D]:
    colour = KNOWN[backend][0]
    return [line for line in axes.lines if same_color(line.get_color(), colour)]


def test_before_is_dashed_and_after_solid_in_the_same_colour() -> None:
    for figure in drawn(launched(20.0), launched(10.0)).values():
        assert [line.is_dashed() for line in lines(figure.axes[0])] == [True, False]
        keys = legend(figure)
        assert [keys[name].is_dashed() for name in ("before (old)", "after (new)")] == [True, False]
        assert "before (old): run run · 3 launches" in words(figure)
        assert "after (new): run run · 3 launches" in words(figure)


def test_speed_ups_of_two_runs_are_over_the_first_and_unpaired() -> None:
    figure = drawn(launched(20.0), launched(10.0))["latency"]
    (line,) = lines(figure.axes[1])
    assert numbers(line.get_ydata()) == pytest.approx([2.0] * len(SIZES))
    assert figure.axes[1].get_ylabel() == "speed-up over before\nabove 1 is faster"
    assert "Welch's t, launches unpaired" in words(figure)
    assert "a verdict needs more than 4 %" in words(figure)


def test_each_run_has_its_own_sizes_and_backends() -> None:
    few = SIZES[::2]
    figure = drawn([*launched(20.0), *launched(5.0, "nccl")], launched(10.0, sizes=few))["latency"]
    assert [numbers(line.get_xdata()) for line in lines(figure.axes[0])] == [list(SIZES), list(few)]
    assert len(lines(figure.axes[0], "nccl")) == 1
    assert lines(figure.axes[1], "nccl") == []
    assert numbers(lines(figure.axes[1])[0].get_xdata()) == list(few)


def test_two_runs_have_no_map_and_a_panel_may_be_in_one_only() -> None:
    before = [*launched(20.0), *launched(20.0, "nccl")]
    after = [*launched(10.0), *rows({"nvrar": 3.0}, mode="isolated")]
    found = drawn(before, after)
    assert set(found) == {"latency-chain", "latency-isolated", "bandwidth-chain", "bandwidth-isolated"}
    assert len(found["latency-isolated"].axes) == 1


def test_two_runs_over_different_networks_are_drawn_with_a_warning() -> None:
    before, ib, socket = (
        rows({"nccl": 9.0}, nodes=2, fabric="infiniband", params=f"cache=hot;transport={took}")
        for took in ("ib", "ib", "socket")
    )
    shown = [" ".join(text.get_text() for text in drawn(before, after)["latency"].texts) for after in (socket, ib)]
    words = "nccl (before) went over InfiniBand or RoCE (ib); nccl (after) went over TCP sockets (socket)"
    assert [words in " ".join(text.split()) for text in shown] == [True, False]


def written(path: Path, records: list[Record]) -> Path:
    path.write_text(dump(records))
    return path


def loaded(*paths: Path) -> list[set[str]]:
    """The run identifiers of each run in these files."""
    return [{record.run_id for record in run.records} for run in load_runs(paths, (), pytest.fail)]


def test_two_files_that_share_a_case_are_two_runs_and_others_are_one(tmp_path: Path) -> None:
    old, new = (written(tmp_path / f"{name}.csv", rows({"nccl": 9.0}, run_id=name)) for name in ("old", "new"))
    other = written(tmp_path / "other.csv", rows({"nvrar": 9.0}, run_id="other"))
    assert loaded(old, new) == [{"old"}, {"new"}]
    assert loaded(new, old) == [{"new"}, {"old"}]
    assert loaded(old, other) == [{"old", "other"}]
    assert loaded(old, old) == [{"old"}]
    with pytest.raises(UsageError, match="contain the same case"):
        loaded(old, other, new)


def test_a_file_and_its_copy_are_two_runs_without_a_change(tmp_path: Path) -> None:
    records = launched(9.0)
    runs = load_runs([written(tmp_path / f"{name}.csv", records) for name in "ab"], (), pytest.fail)
    paths = draw_all(runs, tmp_path / "plots", ChartOptions(), ["svg"])
    assert [path.name for path in paths] == ["a+b-latency.svg", "a+b-bandwidth.svg"]


def test_rows_are_selected_in_every_run(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{name}.csv", rows({"nccl": 9.0, "nvrar": 8.0})) for name in "ab"]
    runs = load_runs(paths, [("backend", "nvrar")], pytest.fail)
    assert [{record.backend for record in run.records} for run in runs] == [{"nvrar"}, {"nvrar"}]


def test_facts_come_from_the_sidecar_and_one_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv", rows({"nccl": 9.0}))
    sidecar_path(path).write_text(json.dumps({"launches": [{"launch": 0, "mpi": {"library": "MPICH 5"}}]}))
    (run,) = load_runs([path], (), pytest.fail)
    assert {facts["mpi"] for facts in run.facts.values()} == {"MPICH 5"}
    sidecar_path(path).write_text("{")
    said: list[str] = []
    (run,) = load_runs([path], (), said.append)
    assert (len(said), run.facts) == (1, {})
    assert "is not a sidecar of collbench" in said[0]
