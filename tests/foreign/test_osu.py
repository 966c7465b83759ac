"""Logs of the OSU micro-benchmarks: the slowest rank with -f, the mean over ranks without, and sizes of all ranks."""

from __future__ import annotations

import pytest
from foreign_logs import cases_of, latencies, read_text

from collbench.errors import UsageError
from collbench.foreign.measured import MEAN, RANK_0, SLOWEST, Place

FULL = """
# OSU MPI-CUDA Allreduce Latency Test v7.4
# Datatype: MPI_FLOAT.
# Size       Avg Latency(us)   Min Latency(us)   Max Latency(us)  Iterations
4                      10.51             10.02             11.75        1000
1048576               160.00            158.10            163.20         100
"""
TAILS = """\
# OSU MPI Allreduce Latency Test v7.4
# Datatype: MPI_CHAR.
# Size       Avg Latency(us)        Validation  P50 Tail Lat(us)  P90 Tail Lat(us)  P99 Tail Lat(us)
4                       0.65              Pass              0.31              0.32              5.96
8                       0.31              Fail              0.31              0.32              0.32
"""
OLD = """\
# OSU MPI All-to-All Personalized Exchange Latency Test v3.8
# Size           Avg Latency(us)
1                          3.30
4096                      12.50
"""
PING_PONG = """\
# OSU MPI Latency Test v5.6.2
# Size          Latency (us)
0                       0.21
8                       0.22
"""


def test_full_statistics_have_the_slowest_rank() -> None:
    (first, _) = cases_of(FULL)
    assert (first.collective, first.backend, first.dtype, first.op, first.mode) == (
        "all_reduce", "mpi", "float32", "sum", "isolated",
    )  # fmt: skip
    assert (first.statistic, first.latency.slowest, first.latency.mean) == (SLOWEST, 11.75, 10.51)
    assert (first.calls, first.samples, first.place, dict(first.params)) == (1000, 1, Place(), {"memory": "cuda"})


def test_without_them_there_is_the_mean_over_ranks() -> None:
    first, second = cases_of(TAILS)
    assert (first.statistic, first.latency.slowest, first.latency.mean, first.wrong) == (MEAN, None, 0.65, 0)
    assert (first.fault, second.fault) == ("", "its validation failed")


def test_sizes_of_one_rank_are_marked_and_types_of_old_versions_known() -> None:
    first = cases_of(OLD)[0]
    assert (first.collective, first.per_rank, first.dtype, first.size) == ("all_to_all", True, "int8", 1)


def test_a_ping_pong_is_two_sends_of_which_an_empty_one_has_no_size() -> None:
    (only,) = cases_of(PING_PONG)
    assert (only.collective, only.place, only.mode, only.statistic) == ("send", Place(2), "chain", RANK_0)
    assert (only.size, only.latency.mean) == (8, 0.22)
    assert read_text(PING_PONG).missed == ()


def test_programs_for_nccl_name_it() -> None:
    log = FULL.replace("MPI-CUDA", "NCCL-CUDA")
    assert {case.backend for case in cases_of(log)} == {"nccl"}


def test_several_programs_in_one_log_are_runs_of_their_own() -> None:
    found = read_text(FULL + OLD + PING_PONG)
    assert [run.cases[0].collective for run in found.runs] == ["all_reduce", "all_to_all", "send"]
    assert [run.version for run in found.runs] == ["7.4", "3.8", "5.6.2"]


@pytest.mark.parametrize(
    "title",
    ["OSU MPI Bandwidth Test v5.9", "OSU MPI Bi-Directional Bandwidth Test v7.1", "OSU MPI Reduce Latency Test v7.1",
     "OSU MPI_Put Latency Test v7.1", "OSU MPI Barrier Latency Test v7.1"],
)  # fmt: skip
def test_what_is_no_latency_of_a_collective_of_ours_is_said(title: str) -> None:
    found = read_text(f"{FULL}# {title}\n# Size      Bandwidth (MB/s)\n1                       3.93\n")
    assert found.remarks == (f"has no latency of a collective of ours: {title}",)
    assert (len(found.runs), found.missed) == (1, ())


def test_overlap_of_non_blocking_collectives_is_no_latency() -> None:
    log = """\
# OSU MPI Non-blocking Allreduce Latency Test v5.9
# Overall = Coll. Init + Compute + MPI_Test + MPI_Wait

# Size           Overall(us)       Compute(us)    Pure Comm.(us)        Overlap(%)
4                      10.00              5.00              5.00             50.00
"""
    with pytest.raises(UsageError, match="no row that is understood"):
        read_text(log)


def test_decimal_commas() -> None:
    text = FULL.replace(".0", ",0").replace(".5", ",5").replace(".7", ",7").replace(".2", ",2").replace(".1", ",1")
    assert latencies(text) == latencies(FULL)


def test_a_damaged_row_is_listed() -> None:
    found = read_text(FULL.replace("163.20         100", "163.20"))
    assert ([case.size for case in found.runs[0].cases], found.missed) == ([4], (6,))
    assert read_text(FULL.replace("       100\n", "      1.5\n")).missed == (6,)
