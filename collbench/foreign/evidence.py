"""A table of this project, latencies that nccl-tests printed before and after a run of ours, with the facts beside it:
results/h200x4-nccl-tests.csv. They are of NCCL's all-reduce in a CUDA graph, a thread for each GPU."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from collbench.foreign.measured import MEAN, Case, Latency, Place, Run, Understood
from collbench.foreign.source import Source
from collbench.foreign.tabular import PARQUET, header_of, rows_of
from collbench.foreign.words import dtype_of, positive, whole

NAME = "nccl-tests, as a table of this project"
_COLUMNS = ("nccl_tests_us_before", "nccl_tests_us_after")


def recognise(source: Source) -> bool:
    """Whether a table has both columns."""
    return not source.content.startswith(PARQUET) and {"bytes", *_COLUMNS} <= set(header_of(source))


def understand(source: Source) -> Understood:
    """A run before and one after."""
    beside = _beside(source)
    found: dict[str, list[Case]] = {name: [] for name in _COLUMNS}
    known = {1}
    for number, cells in rows_of(source):
        try:
            for name in _COLUMNS:
                found[name].append(_case(number, whole(cells["bytes"]), positive(cells[name]), beside))
        except ValueError:
            continue
        known.add(number)
    version = str(beside.get("nccl_tests", "")).partition(" ")[0]
    runs = [Run("nccl-tests", version, tuple(cases), _facts(beside)) for cases in found.values()]
    return Understood(tuple(runs), frozenset(known))


def _beside(source: Source) -> Mapping[str, Any]:
    """The facts in the file beside the table; {} without it."""
    try:
        found = json.loads(source.path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _facts(beside: Mapping[str, Any]) -> dict[str, Any]:
    nccl = {"nccl": str(beside["nccl"])} if "nccl" in beside else {}
    names = enumerate(map(str, beside.get("devices", ())))
    return {
        "argv": str(beside.get("command", "")).partition(" (")[0].split(),  # without what is said of it
        "ranks": [{"rank": rank, "gpu": {"kind": "gpu", "name": name, **nccl}} for rank, name in names],
        "variables": dict(beside.get("variables", {})),
    }


def _case(number: int, size: int, us: float, beside: Mapping[str, Any]) -> Case:
    ranks = len(beside.get("devices", ())) or None
    dtype = re.search(r"-d (\w+)", str(beside.get("command", "")))
    return Case(
        line=number, collective="all_reduce", size=size, latency=Latency(mean=us), statistic=MEAN, backend="nccl",
        dtype=dtype_of(dtype[1]) if dtype else "", op="sum", place=Place(ranks, 1 if ranks else None, ranks),
        mode="chain",
    )  # fmt: skip
