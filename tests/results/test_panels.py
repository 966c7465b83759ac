"""Panels: cases that differ in size and backend only."""

from __future__ import annotations

from typing import Any

import pytest
from samples import a_record

from collbench.results.cases import cases
from collbench.results.panels import labels_of, panels, rows_of, title_of


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain"),
        (
            {"collective": "all_reduce_rms_norm", "hidden": 64},
            "all_reduce_rms_norm · rows of 64 · float32 · sum · 4 ranks on 1 node (shm) · chain",
        ),
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
        (
            {"mode": "isolated", "skew": "20us:3"},
            "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · isolated · skew 20us:3",
        ),
    ],
)
def test_titles_say_what_and_where_and_virtual_where_nodes_are(changes: dict[str, Any], title: str) -> None:
    assert title_of(a_record(**changes)) == title


def test_rows_of_one_panel_differ_in_size_backend_and_launch_only() -> None:
    records = [a_record(), a_record(bytes=8192), a_record(backend="nccl"), a_record(launch=1)]
    (panel,) = panels(cases(records)).values()
    assert len(panel) == 3
    assert sorted(map(repr, rows_of(panel))) == sorted(map(repr, records))


@pytest.mark.parametrize(
    "change",
    [
        {"collective": "all_gather"}, {"dtype": "int32"}, {"op": "max"}, {"ranks": 2}, {"nodes": 2}, {"fabric": "tcp"},
        {"mode": "isolated"}, {"in_place": True}, {"params": "cache=cold"}, {"gpus_per_node": None},
        {"hidden": 64}, {"skew": "20us"}, {"skew": "0"},
    ],
)  # fmt: skip
def test_every_other_choice_is_a_panel_of_its_own(change: dict[str, Any]) -> None:
    records = [a_record(), a_record(bytes=8192), a_record(**change)]
    assert sorted(map(len, panels(cases(records)).values())) == [1, 2]


def test_panels_are_in_the_order_of_their_numbers() -> None:
    records = [a_record(ranks=ranks, hidden=hidden) for ranks in (16, 2) for hidden in (4096, 8)]
    assert [(panel[3], panel[-1]) for panel in panels(cases(records))] == [(2, 8), (2, 4096), (16, 8), (16, 4096)]


def test_panels_of_skews_are_in_the_order_of_time_and_are_told_apart() -> None:
    skews = ["20us:3", "100us", "20us", "", "0", "3us:10"]
    found = [rows_of(group)[0] for group in panels(cases(a_record(skew=skew) for skew in skews)).values()]
    assert [record.skew for record in found] == ["", "0", "20us", "100us", "20us:3", "3us:10"]
    assert labels_of(found)[:3] == ["", "skew 0", "skew 20us"]
