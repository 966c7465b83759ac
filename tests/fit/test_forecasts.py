"""NCCL's forecast as a source: its range, and the table of a log."""

from __future__ import annotations

from pathlib import Path

import pytest
from readmes import ROOT

from collbench.errors import UsageError
from collbench.fit.forecasts import parse_forecast
from collbench.fit.measured import Measured
from collbench.fit.public_curves import CURVES, SIZES
from collbench.plan.bounds import NVLINKS, bound_seconds
from collbench.results.records import load

HEAD = "here:1:2 [0] NCCL INFO "
LINES = (
    "comm 0x1 rank 0 nRanks 16 nNodes 2 localRanks 8 localRank 0 MNNVL 0",
    "  Algorithm   |        Tree         |          Ring          |",
    "  Protocol    |    LL |   LL128 |   Simple |    LL |   LL128 |   Simple |",
    "    AllReduce | 25.2/ 8.7 | 60.0/ 0.0 | 80.5/ 95.0 | 33.4/ 10.2 | 70.0/ 0.0 | 100.0/ 120.0 |",
)
LOG = "".join(f"{HEAD}{line}\n" for line in LINES)


def log(folder: Path, text: str = LOG) -> str:
    (folder / "nccl.log").write_text(text, encoding="utf-8")
    return f"log={folder}/nccl.log"


def test_latency_and_bandwidth_of_a_log_are_taken(tmp_path: Path) -> None:
    found = parse_forecast(log(tmp_path)).of("all_reduce", 4096, 16, 2)
    assert found.us == pytest.approx(25.2 + 4.096 / (8.7 * 0.7))
    assert (found.basis, found.source.split(", ")[-1]) == ("modelled", "Tree LL")
    large = parse_forecast(log(tmp_path)).of("all_reduce", 1 << 30, 16, 2)
    assert large.us == pytest.approx(100 * 1.4 + (1 << 30) / 120e3)


def test_a_table_is_of_one_world(tmp_path: Path) -> None:
    source = parse_forecast(log(tmp_path))
    with pytest.raises(UsageError, match="is only of 16 ranks on 2 nodes"):
        source.of("all_reduce", 4096, 8, 2)
    with pytest.raises(UsageError, match="has no all_gather"):
        source.of("all_gather", 4096, 16, 2)
    bare = LOG[LOG.index("here", 5) :]
    with pytest.raises(UsageError, match="does not say its ranks and nodes"):
        parse_forecast(log(tmp_path, bare)).of("all_reduce", 4096, 16, 2)
    assert parse_forecast(f"{log(tmp_path, bare)}:ranks=16:nodes=2").of("all_reduce", 4096, 16, 2).us > 25.2


def test_our_nccl_at_small_sizes_lies_in_the_range() -> None:
    source = parse_forecast("h200:channels=24:width=20:version=2.28.9")
    rows = tuple(row for row in load(ROOT / "results/h200x4-worlds.csv") if row.dtype == "bfloat16")
    for ranks in (2, 4):
        measured = Measured(rows, "nccl", "ours")
        for size in (4096, 65536):
            found = source.of("all_reduce", size, ranks, 1)
            assert found.low <= measured.of("all_reduce", size, ranks, 1).us <= found.high


def test_the_public_curves_between_nodes_lie_in_the_range() -> None:
    source = parse_forecast("gh200:channels=4:width=24")
    for curve in CURVES:
        for size, us in zip(SIZES, curve, strict=True):
            found = source.of("all_reduce", size, 8, 2)
            assert found.low <= us <= found.high, size


@pytest.mark.parametrize("operation", ["all_reduce", "all_gather", "reduce_scatter"])
def test_no_forecast_is_below_the_bound(operation: str) -> None:
    source = parse_forecast("h200:channels=16:width=24")
    for ranks in (2, 4, 8):
        for size in (64, 4096, 1 << 18, 1 << 26):
            bound = 1e6 * bound_seconds(operation, size, ranks, NVLINKS["H200"])
            assert source.of(operation, size, ranks, 1).us >= bound
