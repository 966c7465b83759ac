"""Titles of charts in words: collective, type, GPUs and nodes, network and mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collbench.plan.layout import VIRTUAL
from collbench.results.facts import Facts
from collbench.results.records import Record

NETWORKS = {
    "nvlink": "NVLink", "pcie": "PCIe", "shm": "shared memory", "tcp": "TCP", "slingshot": "Slingshot",
    "infiniband": "InfiniBand", "unknown": "",
}  # fmt: skip
GPU_LINKS = ("nvlink", "pcie")
GPU_MODES = {
    "chain": "calls chained in a CUDA graph",
    "isolated": "one call at a time",
    "throughput": "calls back to back without a graph",
}
CPU_MODES = {"chain": "calls in a chain", "isolated": "one call at a time", "throughput": "calls back to back"}
NAMES = {"send_recv": "send and receive", "send": "one-way send", "all_reduce_rms_norm": "all-reduce + RMSNorm"}


def title_of(rows: Sequence[Record], facts: Mapping[Record, Facts]) -> str:
    """What the rows of a chart share, as a title; ranks and nodes are listed, other columns that differ are omitted."""
    first, gpus = rows[0], _on_gpus(rows, facts)
    reduction = f" ({first.op})" if first.op not in ("", "sum") else ""
    what = f"{NAMES.get(first.collective, first.collective.replace('_', '-'))}{reduction}"
    dtype, mode = (_same(getattr(row, name) for row in rows) for name in ("dtype", "mode"))
    of_type = f" of {dtype}" if dtype else ""
    in_rows = f" in rows of {first.hidden}" if first.hidden else ""
    how = (GPU_MODES if gpus else CPU_MODES).get(mode, mode)
    details = ["in place" if first.in_place else "", "cold cache" if first.cache == "cold" else "", how]
    return ", ".join(
        filter(None, [f"{what}{of_type}{in_rows} on {_world(rows, facts, gpus)} ({_place(rows)})", *details])
    )


def _on_gpus(rows: Sequence[Record], facts: Mapping[Record, Facts]) -> bool:
    """Whether the ranks of these rows are GPUs; a network between hosts may serve either."""
    fabric = rows[0].fabric.removesuffix(VIRTUAL)
    if fabric in ("shm", *GPU_LINKS):
        return fabric != "shm"
    on_hosts = all(row.backend.startswith("mpi") for row in rows)  # those of MPI time host memory
    return not on_hosts and bool(gpus_of(rows, facts))


def gpus_of(rows: Iterable[Record], facts: Mapping[Record, Facts]) -> list[str]:
    """The GPU models of the launches, without the vendor; [] if they are not known."""
    found = dict.fromkeys(facts[row].get("gpu") for row in rows if row in facts)
    names = [name for joined in found if joined for name in joined.split(", ")]
    return list(dict.fromkeys(name.removeprefix("NVIDIA ") for name in names))


def _world(rows: Sequence[Record], facts: Mapping[Record, Facts], on_gpus: bool) -> str:
    """The number of ranks and what they are."""
    together = f"{rows[0].groups} groups of " if rows[0].groups else ""
    ranks = f"{together}{listed(row.ranks for row in rows)}"
    models = gpus_of(rows, facts) if on_gpus else []
    if len(models) == 1:
        return f"{ranks} × {models[0]}"
    kind = "GPU" if on_gpus else "CPU rank" if _on_hosts(rows) else "rank"
    which = f" ({', '.join(models)})" if models else ""
    return f"{ranks} {kind}{'s' * (ranks != '1')}{which}"


def _on_hosts(rows: Sequence[Record]) -> bool:
    return rows[0].fabric.removesuffix(VIRTUAL) == "shm" or all(row.backend.startswith("mpi") for row in rows)


def _place(rows: Sequence[Record]) -> str:
    """The number of nodes and the network."""
    virtual = "virtual " if rows[0].fabric.endswith(VIRTUAL) else ""
    nodes = listed(row.nodes for row in rows)
    count = f"{'one' if nodes == '1' else nodes} {virtual}node{'s' * (nodes != '1')}"
    uneven = "unevenly filled" if any(row.gpus_per_node is None for row in rows) else ""
    fabric = rows[0].fabric.removesuffix(VIRTUAL)
    return ", ".join(filter(None, [count, uneven, NETWORKS.get(fabric, fabric)]))


def _same(values: Iterable[str]) -> str:
    """The common value, or "" if values differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else ""


def listed(numbers: Iterable[int]) -> str:
    """Up to four distinct numbers in words, ``2, 4 and 8``; of more, the first and the last."""
    *others, last = sorted(set(numbers))
    if len(others) > 3:
        return f"{others[0]} to {last}"
    return f"{', '.join(map(str, others))} and {last}" if others else str(last)
