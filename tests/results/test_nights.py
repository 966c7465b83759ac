"""Folders of nights: order, times, versions, and one sentence for each file that is left out or lacks something."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nights import a_night, launches_of, nights_of, sidecar
from samples import a_record

from collbench.errors import UsageError
from collbench.results.nights import Nights, nights_in
from collbench.results.records import JOB, dump


def read(folder: Path) -> tuple[Nights, str]:
    """The nights, and what was said of them."""
    found = nights_in(folder)
    return found, "\n".join(found.remarks)


def test_a_night_has_the_facts_of_its_sidecar(tmp_path: Path) -> None:
    a_night(tmp_path, 0, launches_of(10.0), commit="c0ffee", nccl="2.29.1")
    found, said = read(tmp_path)
    (night,) = found.nights
    assert (night.time, night.commit, night.machine) == (datetime(2026, 9, 1, 22, tzinfo=UTC), "c0ffee", "H200")
    assert night.versions == {"driver": "13.0", "nccl": "2.29.1", "nvshmem": "3.4.5", "mpi": "Open MPI v4.1.6"}
    assert (len(night.records), said) == (3, "")


def test_a_driver_that_names_the_vendor_does_not_make_another_machine(tmp_path: Path) -> None:
    for day, gpu in enumerate(("A100-SXM4-40GB", "NVIDIA A100-SXM4-40GB")):
        a_night(tmp_path, day, launches_of(1.0), gpu=gpu)
    assert [night.machine for night in nights_in(tmp_path).nights] == 2 * ["A100-SXM4-40GB"]


def test_nights_are_ordered_by_time_whatever_their_zones_and_names(tmp_path: Path) -> None:
    starts = ("2026-09-02T01:00:00+0200", "2026-09-01T20:00:00-0400", "2026-09-01T23:30:00+00:00", "2026-09-01T22:00")
    for place, started in enumerate(starts):
        (tmp_path / f"{place}.csv").write_text(dump(launches_of(1.0, run_id=f"2026090{9 - place}T120000-vm")))
        (tmp_path / f"{place}.json").write_text(sidecar(started))
    found, said = read(tmp_path)
    assert ([night.path.stem for night in found.nights], said) == (["3", "0", "2", "1"], "")
    assert {night.time.tzinfo for night in found.nights} == {UTC}


def test_without_a_sidecar_the_run_id_gives_the_time_and_versions_are_unknown(tmp_path: Path) -> None:
    a_night(tmp_path, 0, launches_of(10.0)).with_suffix(".json").unlink()
    found, said = read(tmp_path)
    (night,) = found.nights
    assert (night.time, night.commit, night.machine, night.versions) == (
        datetime(2026, 9, 1, 22, tzinfo=UTC),
        "",
        "",
        {},
    )
    assert "20260901T220000-vm.json does not exist; its time is that of its run_id, taken as UTC" in said


def test_a_damaged_sidecar_counts_as_none(tmp_path: Path) -> None:
    a_night(tmp_path, 0, launches_of(10.0)).with_suffix(".json").write_text("{")
    found, said = read(tmp_path)
    assert len(found.nights) == 1
    assert "is not a sidecar of collbench" in said
    assert "\n" not in said


def test_the_source_hash_stands_for_a_commit_where_there_is_no_git(tmp_path: Path) -> None:
    path = a_night(tmp_path, 0, launches_of(10.0))
    facts = json.loads(path.with_suffix(".json").read_text())
    for launch in facts["launches"]:
        launch["git"] = None
    path.with_suffix(".json").write_text(json.dumps(facts))
    assert read(tmp_path)[0].nights[0].commit == "sha256:0123456789ab"


def test_what_is_no_night_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    good = a_night(tmp_path, 0, launches_of(10.0))
    shutil.copy(good, tmp_path / "copy.csv")
    (tmp_path / "foreign.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text(dump([]))
    (tmp_path / "cut.csv").write_text(dump(launches_of(1.0))[:-9])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(b"x"))
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "timeless.csv").write_text(dump([a_record(run_id="nightly")]))
    (tmp_path / "month13.csv").write_text(dump([a_record(run_id="20261301T000000-vm")]))
    (tmp_path / "job.csv").write_text(dump([a_record(backend=JOB, status="timeout", reason="job 7: TIMEOUT")]))
    (tmp_path / "alone.samples.csv").write_text("row,sample,latency_us\n")
    (tmp_path / "folder.csv").mkdir()
    found, said = read(tmp_path)
    assert [night.path.name for night in found.nights] == [good.name]
    for name, words in {
        "copy.csv": f"has launches of the same run as {good}",
        "foreign.csv": "no column 'run_id'",
        "empty.csv": "is empty",
        "header.csv": "no row of a case",
        "cut.csv": "truncated",
        "binary.csv": "cannot be read",
        "packed.csv.gz": "compressed; unpack it",
        "gone.csv": "does not exist",
        "timeless.csv": "has no time: timeless.json does not exist, and its run_id is 'nightly'",
        "month13.csv": "has no time",
        "job.csv": "timeout: job 7: TIMEOUT",
    }.items():
        assert any(words in line for line in found.remarks if f"/{name}" in line), name
    assert not any(name in said for name in ("alone", "folder"))


def test_a_folder_without_a_night_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no results file"):
        nights_in(tmp_path)
    (tmp_path / "foreign.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no column 'run_id'"):
        nights_in(tmp_path)
    with pytest.raises(UsageError, match="cannot be listed: No such file"):
        nights_in(tmp_path / "nowhere")


def test_two_runs_of_one_day_are_two_nights(tmp_path: Path) -> None:
    nights_of(tmp_path, [1.0, 2.0])
    second = a_night(tmp_path, 1, launches_of(3.0, backend="nccl"))
    assert len(read(tmp_path)[0].nights) == 2
    second.rename(tmp_path / "b.csv")
    assert read(tmp_path)[0].nights[-1].path.name == "b.csv"
