"""Rows of unlike machines, which no sentence, table or chart of a report compares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nights import a_night, launches_of
from pages import read
from report.conftest import Write
from samples import timed

from collbench.errors import UsageError
from collbench.report.inputs import read_inputs
from collbench.results.records import dump
from collbench.views.machines import apart


def a_file(folder: Path, name: str, gpu: str, *backends: str, us: float = 10.0) -> Path:
    """A results file of a case by these backends, each half as fast as the one before, and its sidecar."""
    folder.joinpath(name).mkdir()
    rows = [row for place, backend in enumerate(backends) for row in launches_of(us * 2**place, backend=backend)]
    return a_night(folder / name, 0, rows, gpu=gpu)


def headings(page: str) -> list[str]:
    return [each.text for each in read(page).of("h2")][:-2]


def test_unlike_machines_have_sections_of_their_own(write: Write, tmp_path: Path) -> None:
    page = write(a_file(tmp_path, "a", "H200", "nccl", "nvrar"), a_file(tmp_path, "b", "H100", "mpi", "nvshmem"))
    both = ["Summary: H200", "Summary: H100", "Latency and bandwidth: H200", "Latency and bandwidth: H100"]
    assert headings(page) == both
    lines = [each.text for each in read(page).of("li")]
    assert [line for line in lines if " is slower than " in line] == [
        "nvrar is slower than nccl at 4 KiB, 2.00×",
        "nvshmem is slower than mpi at 4 KiB, 2.00×",
    ]
    anchors = [each.attributes["id"] for each in read(page).elements if "id" in each.attributes]
    assert len(anchors) == len(set(anchors))


def test_no_line_over_ranks_joins_unlike_machines(write: Write, tmp_path: Path) -> None:
    paths = [a_night(tmp_path, ranks, launches_of(5.0, ranks=ranks), gpu=gpu) for ranks, gpu in ((2, "A"), (4, "B"))]
    assert "Over ranks" not in write(*paths)


def test_nights_keep_each_machine_s_last_case(tmp_path: Path) -> None:
    nights = ((0, "H200"), (1, "H200"), (2, "H100"))
    paths = [a_night(tmp_path, day, launches_of(10.0 + day), gpu=gpu) for day, gpu in nights]
    found = apart(read_inputs(paths, (), lambda words: None).runs)
    latest = {name: {row.latency_us_median for run in runs for row in run.records} for name, runs in found.items()}
    assert latest == {"H200": {11.0}, "H100": {12.0}}


def test_like_machines_two_runs_and_unknown_ones_stay_together(tmp_path: Path) -> None:
    one, like = a_file(tmp_path, "a", "H200", "nccl"), a_file(tmp_path, "b", "H200", "nvrar")
    again, unknown = a_file(tmp_path, "c", "H100", "nccl"), tmp_path / "unknown.csv"
    unknown.write_text(dump([timed(1.0, backend="mpi")]))
    given = [(one, like), (one, unknown), (one, again)]
    assert [[*apart(read_inputs(paths, (), lambda words: None).runs)] for paths in given] == [
        ["H200"],
        ["H200"],
        ["H100"],
    ]


def test_a_baseline_of_one_machine_leaves_the_others_theirs(write: Write, tmp_path: Path) -> None:
    paths = a_file(tmp_path, "a", "H200", "nccl", "nvrar"), a_file(tmp_path, "b", "H100", "mpi", "nvshmem")
    page = write(*paths, baseline="nvrar")
    assert "nccl is faster than nvrar" in page
    assert "nvshmem is slower than mpi" in page
    with pytest.raises(UsageError, match="nvra"):
        write(*paths, baseline="nvra")


def test_two_runs_of_unlike_machines_are_compared_with_a_warning(write: Write, tmp_path: Path) -> None:
    one, other, like = (a_file(tmp_path, name, gpu, "nccl") for name, gpu in (("a", "A1"), ("b", "B2"), ("c", "A1")))
    warning = "UNLIKE MACHINES: A ran on B2, B on A1; ratios between them compare machines."
    assert [warning in [each.text for each in read(write(one, after)).of("li")] for after in (other, like)] == [
        True,
        False,
    ]


def test_backends_of_one_file_that_ran_on_unlike_machines_are_summed_up_with_a_warning(
    write: Write, tmp_path: Path
) -> None:
    rows = [row for name in ("a", "b") for row in launches_of(9.0, 1, backend=name, run_id=name)]
    (tmp_path / "both.csv").write_text(dump(rows))
    entries = [
        {"launch": 0, "ranks": [{"gpu": {"name": gpu}}], "imported": {"run_id": name}}
        for name, gpu in (("a", "H100"), ("b", "H200"))
    ]
    (tmp_path / "both.json").write_text(json.dumps({"launches": entries}))
    warning = "UNLIKE MACHINES: a ran on H100, b on H200; ratios between them compare machines."
    assert warning in [each.text for each in read(write(tmp_path / "both.csv")).of("li")]
