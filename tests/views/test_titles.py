"""Titles in words."""

from __future__ import annotations

from typing import Any

import pytest
from charts import row

from collbench.views.titles import title_of

CHAINED = "calls chained in a CUDA graph"


def titled(gpu: str = "NVIDIA H200", backend: str = "nccl", **fields: Any) -> str:
    """The title of a chart of one row on GPUs of this model, "" if it is not known."""
    rows = [row(backend, 4096, 9.0, **fields)]
    return title_of(rows, {each: {"gpu": gpu} for each in rows} if gpu else {})


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, f"all-reduce of float32 on 4 × H200 (one node, NVLink), {CHAINED}"),
        ({"gpu": ""}, f"all-reduce of float32 on 4 GPUs (one node, NVLink), {CHAINED}"),
        (
            {"gpu": "NVIDIA H100 80GB HBM3, NVIDIA H200"},
            f"all-reduce of float32 on 4 GPUs (H100 80GB HBM3, H200) (one node, NVLink), {CHAINED}",
        ),
        (
            {"op": "max", "nodes": 2, "fabric": "infiniband", "in_place": True, "params": "cache=cold"},
            f"all-reduce (max) of float32 on 4 × H200 (2 nodes, InfiniBand), in place, cold cache, {CHAINED}",
        ),
        (
            {"collective": "send_recv", "op": "", "mode": "isolated", "fabric": "pcie"},
            "send and receive of float32 on 4 × H200 (one node, PCIe), one call at a time",
        ),
        (
            {"collective": "all_to_all", "op": ""},
            f"all-to-all of float32 on 4 × H200 (one node, NVLink), {CHAINED}",
        ),
        (
            {"collective": "send", "op": "", "ranks": 2},
            f"one-way send of float32 on 2 × H200 (one node, NVLink), {CHAINED}",
        ),
        (
            {"collective": "reduce_scatter", "mode": "throughput", "nodes": 2, "fabric": "nvlink-virtual"},
            "reduce-scatter of float32 on 4 × H200 (2 virtual nodes, NVLink), calls back to back without a graph",
        ),
        ({"fabric": "shm"}, "all-reduce of float32 on 4 CPU ranks (one node, shared memory), calls in a chain"),
        (
            {"fabric": "tcp", "nodes": 3, "backend": "mpi-ring", "gpus_per_node": None},
            "all-reduce of float32 on 4 CPU ranks (3 nodes, unevenly filled, TCP), calls in a chain",
        ),
        (
            {"gpu": "", "fabric": "slingshot", "nodes": 2, "ranks": 1, "mode": "new"},
            "all-reduce of float32 on 1 rank (2 nodes, Slingshot), new",
        ),
        (
            {"collective": "all_reduce_rms_norm", "dtype": "bfloat16", "hidden": 4096},
            f"all-reduce + RMSNorm of bfloat16 in rows of 4096 on 4 × H200 (one node, NVLink), {CHAINED}",
        ),
        ({"fabric": "unknown", "gpu": "", "nodes": 1}, "all-reduce of float32 on 4 ranks (one node), calls in a chain"),
    ],
)
def test_a_title_says_what_ran_where_and_how(fields: dict[str, Any], title: str) -> None:
    assert titled(**fields) == title


def test_columns_that_differ_are_listed_or_left_out() -> None:
    rows = [row("nccl", 64, 9.0, ranks=ranks, dtype=name, nodes=ranks // 2) for ranks, name in ((2, "a"), (4, "b"))]
    more = [row("nccl", 64, 9.0, ranks=ranks, dtype="a", mode="isolated") for ranks in (8, 16, 32)]
    assert title_of(rows, {}) == f"all-reduce on 2 and 4 GPUs (1 and 2 nodes, NVLink), {CHAINED}"
    assert title_of([*rows, *more], {}) == "all-reduce on 2 to 32 GPUs (1 and 2 nodes, NVLink)"
