"""Panels: rows that differ in size, backend and launch only, and what a case is worth."""

from __future__ import annotations

from typing import Any

import pytest
from samples import a_record, timed, untimed

from collbench.results.panels import median_us, panels, title_of


def test_the_median_over_launches_is_shown() -> None:
    assert median_us([timed(us) for us in (10.0, 40.0, 20.0)]) == 20
    assert median_us([timed(10.0), timed(20.0), untimed("wrong")]) == 15
    assert median_us([untimed("failed")]) is None


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain"),
        ({"collective": "all_gather", "op": ""}, "all_gather · float32 · 4 ranks on 1 node (shm) · chain"),
        (
            {"nodes": 2, "fabric": "nvlink-virtual"},
            "all_reduce · float32 · sum · 4 ranks on 2 virtual nodes (nvlink-virtual) · chain",
        ),
        ({"nodes": 2, "fabric": "infiniband"}, "all_reduce · float32 · sum · 4 ranks on 2 nodes (infiniband) · chain"),
        (
            {"params": "cache=cold", "in_place": True, "mode": "isolated"},
            "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · isolated · cold · in place",
        ),
    ],
)
def test_titles_say_what_and_where_and_virtual_where_nodes_are(changes: dict[str, Any], title: str) -> None:
    assert title_of(a_record(**changes)) == title


def test_rows_of_one_panel_differ_in_size_backend_and_launch_only() -> None:
    records = [a_record(), a_record(bytes=8192), a_record(backend="nccl"), a_record(launch=1)]
    assert list(panels(records).values()) == [records]


@pytest.mark.parametrize(
    "change",
    [
        {"collective": "all_gather"}, {"dtype": "int32"}, {"op": "max"}, {"ranks": 2}, {"nodes": 2}, {"fabric": "tcp"},
        {"mode": "isolated"}, {"in_place": True}, {"params": "cache=cold"},
    ],
)  # fmt: skip
def test_every_other_choice_is_a_panel_of_its_own(change: dict[str, Any]) -> None:
    assert sorted(map(len, panels([a_record(), a_record(), a_record(**change)]).values())) == [1, 2]
