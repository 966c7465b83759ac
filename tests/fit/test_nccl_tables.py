"""The tables in NCCL's log, in both formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from collbench.errors import UsageError
from collbench.fit.nccl_model import Way
from collbench.fit.nccl_tables import Table, read_table

HEAD = "here:12:34 [0] NCCL INFO "
FIRST = [(25.2, 8.7), (60.0, 50.0), (0.0, 0.0), (33.4, 10.2), (0.0, 0.0), (90.1, 80.5)]
BLOCKS = [
    (("Tree", "Ring", "CollNetDirect"), FIRST),
    (("CollNetChain", "NVLS", "NVLSTree"), [(0.0, 0.0)] * 5 + [(31.0, 120.0)]),
]


def block(names: tuple[str, str, str], cells: list[tuple[float, float]]) -> list[str]:
    cells = [*cells, *[(0.0, 0.0)] * (9 - len(cells))]
    return [
        "  Algorithm   |" + "".join(f" {'':>14}   {name:>14}   {'':>14} |" for name in names),
        "  Protocol    |" + "".join(f" {name:>14} |" for name in ("LL", "LL128", "Simple")) * 3,
        " Max NThreads |" + f" {512:14} |" * 9,
        f"{'Broadcast':>13} |" + f"{6.6:8.1f}/{0.0:6.1f} |" * 9,
        f"{'AllReduce':>13} |" + "".join(f"{latency:8.1f}/{width:6.1f} |" for latency, width in cells),
    ]


NEW = [line for names, cells in BLOCKS for line in block(names, cells)]
OLD = [
    " Latency/AlgBw |    Tree/    LL |    Tree/ LL128 |    Tree/Simple |    Ring/    LL |",
    "  Max NThreads |            512 |            640 |            512 |            512 |",
    "     AllReduce |    25.2/   8.7 |    60.0/   0.0 |     9.5/  50.0 |    33.4/  10.2 |",
]
INIT = ["comm 0x1 rank 3 nRanks 16 nNodes 2 localRanks 8 localRank 3 MNNVL 0",
        "16 coll channels, 0 collnet channels, 0 nvls channels, 16 p2p channels"]  # fmt: skip


def table(folder: Path, *lines: str) -> Table:
    path = folder / "nccl.log"
    path.write_text("".join(f"{HEAD}{line}\n" for line in lines), encoding="utf-8")
    return read_table(path)


def test_blocks_of_three_algorithms_are_one_table(tmp_path: Path) -> None:
    found = table(tmp_path, *INIT, *NEW)
    assert (found.ranks, found.nodes, found.channels) == (16, 2, 16)
    assert found.ways["broadcast"] == ()
    assert found.ways["all_reduce"] == (
        Way("Tree", "LL", 25.2, 8.7), Way("Tree", "LL128", 60.0, 50.0), Way("Ring", "LL", 33.4, 10.2),
        Way("Ring", "Simple", 90.1, 80.5), Way("NVLS", "Simple", 31.0, 120.0),
    )  # fmt: skip


def test_the_older_format_names_a_pair_in_each_column(tmp_path: Path) -> None:
    found = table(tmp_path, *OLD)
    assert found.ways["all_reduce"] == (
        Way("Tree", "LL", 25.2, 8.7), Way("Tree", "Simple", 9.5, 50.0), Way("Ring", "LL", 33.4, 10.2),
    )  # fmt: skip
    assert (found.ranks, found.nodes, found.channels) == (None, None, None)


def test_the_same_table_of_several_ranks_is_one(tmp_path: Path) -> None:
    assert table(tmp_path, *NEW, *NEW).ways == table(tmp_path, *NEW).ways


def test_tables_of_two_communicators_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several communicators"):
        table(tmp_path, *NEW, *(line.replace("25.2", "12.6") for line in NEW))


def test_a_log_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no table of NCCL; set NCCL_DEBUG=INFO"):
        table(tmp_path, *INIT)
    with pytest.raises(UsageError, match="cannot be read"):
        read_table(tmp_path / "none.log")
