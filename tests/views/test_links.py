"""Pairs of hosts as a table and in words."""

from __future__ import annotations

from itertools import combinations

import pytest
from samples import timed, untimed

from collbench.printer.plain import plain_page
from collbench.results.records import Record
from collbench.views import summary
from collbench.views.conclusions import conclusions

KIB, MIB = 1 << 10, 1 << 20


def run(slow: str = "", launches: int = 3, hosts: int = 5, size: int = 4 * KIB, **changes: object) -> list[Record]:
    """Every pair takes 10 us, those of ``slow``, a host or a pair, twice as long."""
    pairs = ["+".join(two) for two in combinations([f"node{index + 1}" for index in range(hosts)], 2)]
    return [
        timed(20.0 if slow and slow in (pair, *pair.split("+")) else 10.0, launch=launch, pair=pair, bytes=size,
              **{"collective": "send_recv", "op": "", "nodes": 2, "fabric": "tcp", **changes})
        for launch in range(launches)
        for pair in pairs
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("records", "lines"),
    [
        ([], []),
        (run(), ["no host or pair of hosts is slower than the others beyond noise"]),
        (run(hosts=2), ["fewer than 3 pairs of hosts were timed: no pair can be compared with others"]),
        (run("node3", launches=1), ["the pairs of node3 take 2.00× the time of the others at 4 KiB",
                                    "1 launch: no verdict on hosts; use --launches 3 or more"]),
    ],
)  # fmt: skip
def test_the_words(records: list[Record], lines: list[str]) -> None:
    assert conclusions(records) == lines


@pytest.mark.parametrize(
    ("slow", "begin"),
    [("node3", "the pairs of node3 take 2.00× the time of the others at 1 MiB ("),
     ("node2+node5", "node2+node5 takes 2.00× the time of the others at 1 MiB (")],
)  # fmt: skip
def test_the_slow_one_is_named_once_and_with_its_size(slow: str, begin: str) -> None:
    (line,) = conclusions([*run(), *run(slow, size=MIB)])
    assert line.startswith(begin)
    assert line.endswith(" in 3 launches like these)")


def test_backends_have_lines_of_their_own() -> None:
    lines = conclusions([*run("node1"), *run(backend="nccl")])
    assert [line.split(":")[0] for line in lines] == ["mpi", "nccl"]


def test_the_table_has_the_slowest_pairs_first_and_no_table_of_worlds() -> None:
    large = run("node2+node5", size=16 * MIB, busbw_gb_s=1.25)
    text = plain_page(summary.page([*run(), *large, untimed("failed", "cut", launch=7, pair="node1+node2", nodes=2)]))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "send_recv · float32 · 4 ranks on 2 nodes (tcp) · chain · mpi" in lines
    assert "pair 4 KiB µs 16 MiB GB/s" in lines
    assert lines.count("node2+node5 10.00 1.25") == 1
    assert lines.index("node2+node5 10.00 1.25") < lines.index("node1+node2 10.00 1.25")
    assert "fastest" not in text
    assert "failed ×1: mpi: cut" in text


def test_many_pairs_are_cut_short() -> None:
    assert "25 more pairs, which are faster." in plain_page(summary.page(run(hosts=10)))
