"""Tables of rows beside published figures: sources, differences, verdicts."""

from __future__ import annotations

from dataclasses import replace

from published import SITE, WORLD, fabric, like, skipped, sockets
from samples import untimed

from collbench.results.against import judge
from collbench.results.published import find
from collbench.results.records import Record
from collbench.tables import Page
from collbench.views.against import page, plain
from collbench.views.differences import differences

FABRIC = find(SITE)
UNLIKE = [
    "GPU: here not known, published NVIDIA GH200 120GB",
    "version of nccl: here not known, published not known",
    "tool: here collbench, published nccl-tests",
    "published under: small messages move through a larger buffer from call to call; 1 warm-up call, 20 timed ones",
    "network: here not known, published Slingshot-11",
]
IMPORTED = "tool=nccl-tests;statistic=mean over ranks"


def shown(rows: list[Record]) -> Page:
    return page(judge(rows, FABRIC), [])


def differ(rows: list[Record], **facts: str) -> list[str]:
    return differences(judge(rows, FABRIC), [facts] if facts else [])


def test_a_table_with_both_sources() -> None:
    (table,) = shown(like(fabric(), 1.5)[::-1]).tables
    assert table.title.endswith("2 nodes (slingshot-11) · throughput · nccl against cscs-alps")
    assert table.cells[-1] == ["128 MiB", "2,875", "1,916", "43,293", "81.71", "122.56", "1.50", "slower"]
    assert [line.split(": ")[0] for line in table.notes[0]] == ["Published", "Sockets"]
    assert "All-reduce latency, 2025-12-17, nccl-tests 2.17.1" in table.notes[0][0]


def test_without_sockets_no_column_of_them() -> None:
    (table,) = shown(like(FABRIC.figures[2], sizes=[1 << 20], ranks=2, gpus_per_node=1)).tables
    assert table.cells[-1] == ["1 MiB", "339.6", "339.6", "3.09", "3.09", "1.00", "as published"]
    assert len(table.notes[0]) == 1


def test_verdicts_are_counted_and_sockets_have_a_cure() -> None:
    found = shown(like(sockets(), sizes=[8, 4096]))
    assert found.result == "nccl against cscs-alps: slower at 1, looks like sockets at 1 of 2 cases"
    assert any("aws_ofi_nccl" in note[0] for note in found.notes)
    assert not any("aws_ofi_nccl" in note[0] for note in shown(like(fabric())).notes)


def test_a_case_that_failed_and_a_size_without_a_figure() -> None:
    row = like(fabric())[0]
    failed = untimed("failed", "no memory", **WORLD, bytes=16, latency_us_mean=None)
    found = shown([row, failed, replace(row, bytes=24)])
    assert found.tables[0].cells[-1] == ["16 B", "", "17.65", "52.41", "", "0.00", "", "FAILED"]
    assert found.tables[0].notes[1] == ("no verdict: 16 B: failed no memory",)
    assert ("No figure is published for 24 B.",) in found.notes
    assert found.result.endswith("as published at 1, no verdict at 1 of 2 cases")


def test_what_differs_from_a_run_of_collbench() -> None:
    assert differ(like(fabric())) == UNLIKE
    rows = like(fabric(), params="cache=hot;transport=socket")
    assert differ(rows, gpu="NVIDIA H100", nccl="2.30.7") == [
        "GPU: here NVIDIA H100, published NVIDIA GH200 120GB",
        "version of nccl: here 2.30.7, published not known",
        *UNLIKE[2:4],
        "network: here TCP sockets (socket), published Slingshot-11",
    ]


def test_what_differs_for_other_statistics_and_backends() -> None:
    rows = like(fabric(), backend="nvrar", params="transport=ofi/cxi")
    slowest = [replace(row, latency_us_mean=None) for row in rows]
    found = differ(slowest)
    assert found[0] == "backend: here nvrar, published nccl"
    assert "latency: here slowest rank, published mean over ranks" in found
    assert found[-1] == "network: here Slingshot (ofi/cxi), published Slingshot-11"


def test_a_log_of_the_same_tool_differs_in_nothing_that_is_known() -> None:
    same = like(FABRIC.figures[2], sizes=[1 << 20], ranks=2, gpus_per_node=1, params=IMPORTED)
    (network,) = differ(same, gpu="NVIDIA GH200 120GB", nccl="2.30.7")
    assert network.startswith("network: here not known")


def test_values_for_programs() -> None:
    rows = like(fabric(), 1.3)
    first, *_, last = plain(judge([*rows, skipped(rows[-1])], FABRIC), [])
    assert (first["bytes"], first["published_us"], first["sockets_us"], first["verdict"]) == (8, 17.93, 85.47, "slower")
    assert (last["date"], last["launches"], last["status"], last["differs"]) == ("2025-12-17", 1, "ok", UNLIKE)
