"""Tables of PARAM's comms benchmark: percentiles are over ranks, and the largest is the slowest rank."""

from __future__ import annotations

import pytest
from foreign_logs import cases_of, read_text

from collbench.foreign.measured import SLOWEST, Place

LOG = """\
 PARAM COMM environment: {'world_size': 16, 'local_size': 8, 'global_rank': 0, 'local_rank': 0}
 backend: nccl nw-stack: pytorch-dist args.data_types: ['float32'] args.b: 8 args.z: BLOCKING args.master_ip: h

 COMMS-RES                          total-size (B)  nElementsPerRank  Time(us):p50   p75   p95   Min   Max  AlgBW(GB/s)
 COMMS-RES-all_reduce-float32              1048576            262144          61.0  61.5  62.0  60.5  62.1   17.190
 COMMS-RES-all_gather-bfloat16             1048576             32768          41.0  41.5  42.0  40.5  42.1   17.190
"""


def the_log(blocking: str = "1") -> str:
    return LOG.replace("BLOCKING", blocking)


def test_a_row_is_of_the_slowest_rank() -> None:
    found = read_text(the_log())
    first, second = found.runs[0].cases
    assert (first.collective, first.dtype, first.op, first.backend) == ("all_reduce", "float32", "sum", "nccl")
    assert (first.latency.slowest, first.latency.mean, first.statistic) == (62.1, None, SLOWEST)
    assert (first.size, first.place, second.collective, second.dtype) == (
        1048576,
        Place(16, 2, 8),
        "all_gather",
        "bfloat16",
    )
    assert found.missed == ()


@pytest.mark.parametrize(("blocking", "mode"), [("1", "isolated"), ("0", "throughput")])
def test_the_mode_is_that_of_the_command(blocking: str, mode: str) -> None:
    assert {case.mode for case in cases_of(the_log(blocking))} == {mode}


def test_without_a_heading_the_place_is_not_known() -> None:
    (case, *_) = cases_of("\n".join(the_log().splitlines()[3:]))
    assert (case.place, case.mode, case.backend) == (Place(), "", "")


def test_results_of_other_kinds_are_said_and_listed() -> None:
    found = read_text(the_log() + "  COMMS-RES-pt2pt-float32     1024     5.0     5.1     5.2\n")
    assert found.missed == (7,)
    assert found.remarks == ("has results of another kind: point to point, quantised, or of no collective of ours",)
