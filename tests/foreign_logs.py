"""Short outputs of other benchmarks, written after the formats that their sources print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collbench.foreign.formats import Reading, read
from collbench.foreign.measured import Case
from collbench.foreign.source import Source

SETTINGS = (
    "# nThread {threads} nGpus {gpus} minBytes 8 maxBytes 1048576 step: 2(factor) warmup iters: 1 iters: 20 "
    "agg iters: 1 validation: 1 graph: {graph}"
)
HEAD = """#
#                                              out-of-place                    in-place
#   size     count   type  redop  root    time  algbw  busbw #wrong    time  algbw  busbw #wrong
#    (B) (elements)                        (us) (GB/s) (GB/s)          (us) (GB/s) (GB/s)
"""
ROWS = (
    "      4096      1024  float  sum  -1   31.97   0.13    0.22    0   31.80   0.13    0.23    0",
    "   1048576    262144  float  sum  -1   164.5   6.38   11.16    0   163.7   6.41   11.21    0",
    " 134217728  33554432  float  sum  -1  1916.4  70.04  122.57    0  1907.8  70.35  123.11  N/A",
)
FOOT = "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 44.6 \n#\n"


def devices(ranks: int, per_node: int = 4, per_process: int = 1, gpu: str = "NVIDIA H100 80GB HBM3") -> str:
    """The lines of the ranks."""
    lines = (
        f"#  Rank {rank:2} Group  0 Pid {1000 + rank // per_process:6} on     node{rank // per_node} device "
        f"{rank % per_node:2} [0000:1b:00] {gpu}\n"
        for rank in range(ranks)
    )
    return "# Using devices\n" + "".join(lines)


def nccl_tests(
    rows: Sequence[str] = ROWS, program: str = "all_reduce", before: str = "", foot: str = FOOT, **settings: Any
) -> str:
    """A log of nccl-tests 2.17 on two nodes of four GPUs; of the first ``rows``."""
    heading = SETTINGS.format(**{"threads": 1, "gpus": 1, "graph": 0, **settings})
    starting = f"# Collective test starting: {program}_perf\n" if program else ""
    return "".join(
        [before, starting, heading, "\n#\n", devices(8), "NCCL version 2.27.5+cuda12.9\n", HEAD,
         *(f"{row}\n" for row in rows), foot]
    )  # fmt: skip


def nccl_json(results: Sequence[dict[str, Any]], processes: int = 8, **config: Any) -> str:
    """What nccl-tests writes with -J, version 3."""
    ranks = [{"rank": rank, "group": 0, "pid": 7 + rank, "hostname": f"node{rank // 4}", "device": rank % 4,
              "device_hex": "0000:1b:00", "device_info": "NVIDIA H100"} for rank in range(processes)]  # fmt: skip
    return json.dumps({
        "version": 3, "start_time": "2026-07-09 12:00:00", "args": ["./build/all_reduce_perf", "-b", "8"],
        "env": ["HOME=/home/me", "NCCL_ALGO=Ring", "NCCL_TOKEN=secret", "AWS_SECRET_ACCESS_KEY=secret"],
        "nccl_version": 22809,
        "config": {"nthreads": 1, "ngpus": 1, "warmup_iters": 1, "iterations": 20, "aggregated_iterations": 1,
                   "graph": 0, "blocking_collectives": "false", "devices": ranks, **config},
        "results": list(results),
    })  # fmt: skip


def a_result(size: int, us: float, **more: Any) -> dict[str, Any]:
    """One size, out of place alone."""
    measured = {"time": us, "alg_bw": 1.0, "bus_bw": 1.0, "nwrong": 0.0}
    return {"size": size, "count": size // 4, "type": "float", "redop": "sum", "root": "    -1",
            "out_of_place": measured, "in_place": None, **more}  # fmt: skip


def read_text(text: str | bytes, path: Path = Path("a.log"), backend: str = "") -> Reading:
    """What is understood of a file with this content."""
    return read(Source(path, text.encode() if isinstance(text, str) else text, backend))


def cases_of(text: str | bytes) -> list[Case]:
    """The cases in it."""
    return [case for run in read_text(text).runs for case in run.cases]


def latencies(text: str | bytes) -> list[tuple[int, bool, float | None, float | None]]:
    """Of each case: size, whether in place, the slowest rank's latency and the other one."""
    return [(case.size, case.in_place, case.latency.slowest, case.latency.mean) for case in cases_of(text)]
