"""Tables of AIConfigurator: nccl_perf and custom_allreduce_perf, as text or Parquet (ai-dynamo/aiconfigurator,
collector/network). ``message_size`` is in elements and latencies are in milliseconds; all ranks are on one node.

nccl_perf has what nccl-tests prints with ``-a 1`` and a thread for each GPU. The others are timed on rank 0, in a CUDA
graph unless their source says eager.
"""

from __future__ import annotations

from collections.abc import Mapping

from collbench.foreign.measured import MEAN, RANK_0, Case, Latency, Place, Run, Understood
from collbench.foreign.source import Source
from collbench.foreign.tabular import PARQUET, Cells, header_of, rows_of
from collbench.foreign.words import REDUCING, collective_of, dtype_of, itemsize_of, positive, whole

NAME = "AIConfigurator"
_TYPES = ("nccl_dtype", "allreduce_dtype")
_NEEDED = {"op_name", "num_gpus", "message_size", "latency"}


def recognise(source: Source) -> bool:
    """Whether a table has the columns of one of the two."""
    header = set(header_of(source))
    return header >= _NEEDED and bool(header & set(_TYPES))


def understand(source: Source) -> Understood:
    """A run for each version of a library on each model of GPU."""
    found: dict[tuple[str, ...], list[Case]] = {}
    known = set() if source.content.startswith(PARQUET) else {1}
    for number, cells in rows_of(source):
        if case := _case(number, cells):
            named = tuple(cells.get(name, "") for name in ("framework", "version", "device"))
            found.setdefault(named, []).append(case)
            known.add(number)
    runs = [Run("aiconfigurator", "", tuple(cases), _facts(key, cases[0])) for key, cases in found.items()]
    return Understood(tuple(runs), frozenset(known))


def _facts(named: tuple[str, ...], case: Case) -> Mapping[str, object]:
    framework, version, device = named
    nccl = {"nccl": version} if case.backend == "nccl" else {}
    library = "" if case.backend == "nccl" else f"{framework} {version}".strip()
    return {"library": library, "ranks": [{"gpu": {"kind": "gpu", "name": device, **nccl}}]}


def _case(number: int, cells: Cells) -> Case | None:
    """The case of a row; None for a damaged one."""
    dtype = dtype_of(next(cells[name] for name in _TYPES if name in cells))
    collective, bytes_each = collective_of(cells["op_name"]), itemsize_of(dtype)
    try:
        ranks, elements = whole(cells["num_gpus"]), whole(cells["message_size"])
        us = 1000 * positive(cells["latency"])
    except ValueError:
        return None
    if not (collective and bytes_each and elements):
        return None
    is_nccl, kind = "nccl_dtype" in cells, cells.get("kernel_source", "")
    return Case(
        line=number,
        collective=collective,
        size=elements * bytes_each,
        latency=Latency(mean=us),
        statistic=MEAN if is_nccl else RANK_0,
        backend=_backend(is_nccl, cells),
        dtype=dtype,
        op="sum" if collective in REDUCING else "",
        place=Place(ranks, 1, ranks),
        mode="throughput" if is_nccl or "eager" in kind else "chain",
        params={"kernel": kind} if kind and not is_nccl else {},
    )


def _backend(is_nccl: bool, cells: Cells) -> str:
    """The library: NCCL, or the engine whose own kernel was timed."""
    return (
        "oneccl"
        if cells.get("kernel_source", "").lower() == "oneccl"
        else ("nccl" if is_nccl else cells.get("framework", "").lower())
    )
