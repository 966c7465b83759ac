"""The CSV file for tools that find change points."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from nights import a_night, launches_of
from samples import untimed

from collbench.results.nights import nights_in
from collbench.results.series import series_of
from collbench.views.columns import change_point_csv

WORDS = "4096.all_reduce.sum.f32.chain.hot.4r.1n.H200"


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the CSV file of a folder."""
    nights = nights_in(folder).nights
    return list(csv.DictReader(io.StringIO(change_point_csv(nights, series_of(nights)))))


def test_a_night_is_a_row_and_a_case_a_column(tmp_path: Path) -> None:
    for day in range(2):
        a_night(tmp_path, day, [*launches_of(10.0 + day), *launches_of(5.0, backend="k:blocks=8")], commit=f"c{day}")
    found = rows_of(tmp_path)
    assert list(found[0]) == [
        "time", "commit", "machine", "driver", "nccl", "nvshmem", "mpi", f"mpi.{WORDS}", f"k:blocks=8.{WORDS}",
    ]  # fmt: skip
    assert [(row["time"], row["commit"], row[f"mpi.{WORDS}"]) for row in found] == [
        ("2026-09-01T22:00:00+00:00", "c0", "10.0"),
        ("2026-09-02T22:00:00+00:00", "c1", "11.0"),
    ]


def test_every_cell_of_a_case_is_a_number(tmp_path: Path) -> None:
    a_night(tmp_path, 0, launches_of(5.0, backend="nccl"))
    a_night(tmp_path, 1, [*launches_of(10.0), *launches_of(6.0, backend="nccl")])
    a_night(tmp_path, 2, [untimed("wrong"), *launches_of(7.0, backend="nccl")])
    a_night(tmp_path, 3, launches_of(12.0))
    found = rows_of(tmp_path)
    assert [float(row[f"mpi.{WORDS}"]) for row in found] == [10.0, 10.0, 10.0, 12.0]
    assert [float(row[f"nccl.{WORDS}"]) for row in found] == [5.0, 6.0, 7.0, 7.0]


def test_names_of_columns_differ_where_cases_do_and_do_not_depend_on_others(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {"in_place": True}, {"mode": "isolated"}, {"params": "cache=cold"}, {"fabric": "shm-virtual"}, {"nodes": 2},
        {"gpus_per_node": None}, {"bytes": 8192}, {"dtype": "float16"},
    ]  # fmt: skip
    a_night(tmp_path, 0, [row for each in ({}, *changes) for row in launches_of(1.0, **each)])
    a_night(tmp_path, 1, launches_of(1.0), gpu="H100, H200")
    names = list(rows_of(tmp_path)[0])[7:]
    assert len(set(names)) == len(names) == len(changes) + 2
    assert f"mpi.{WORDS}" in names


def test_nights_without_a_chosen_case_have_no_row(tmp_path: Path) -> None:
    a_night(tmp_path, 0, launches_of(5.0, backend="nccl"))
    a_night(tmp_path, 1, launches_of(10.0))
    nights = nights_in(tmp_path).nights
    text = change_point_csv(nights, series_of(nights, keep=lambda row: row.backend == "mpi"))
    assert len(text.splitlines()) == 2
