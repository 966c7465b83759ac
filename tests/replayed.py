"""Rows of replays with invented numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collbench.results.replays import CHAIN, COMMUNICATION, HEAD, LAYERS, STEP, WITHOUT, ReplayRecord

BLANK = ReplayRecord(
    run_id="run", launch=0, spec="llama-3.1-8b:tp=2:batch=8", pass_kind="decode", tokens=8, ranks=2, nodes=1,
    fabric="nvlink", compute="none", spin_us=None, backend="nvrar", part=COMMUNICATION, stage=None, what="",
    collective="", dtype="", bytes=None, hidden=None, group_ranks=None, group_nodes=None, groups=None, count=1,
    ran_by="", params="", status="ok", reason="",
)  # fmt: skip


def a_row(**values: Any) -> ReplayRecord:
    """A row of communication with some values of its own."""
    return replace(BLANK, **values)


def a_launch(launch: int, backend: str, communication: float, sums: float, compute: str = "none") -> list[ReplayRecord]:
    """The rows of a backend: 65 sums and a gather of 40 us; with compute layers of 800 us, a head of 100 us, and a step
    that takes 30 us more than its parts."""
    own = {"launch": launch, "backend": backend, "compute": compute}
    kinds = [("all_reduce", 65536, 65, sums), ("all_gather", 2 << 20, 1, 40.0)]
    rows = [a_row(**own, us_median=communication)]
    for name, size, count, us in kinds:
        of = {
            **own,
            "what": name,
            "collective": name,
            "bytes": size,
            "count": count,
            "answers": count,
            "group_ranks": 2,
            "ran_by": backend,
        }
        rows += [a_row(**of, part=CHAIN, us_median=us), a_row(**of, part=WITHOUT, us_median=communication - count * us)]
    if compute != "none":
        rows.append(a_row(**own, part=STEP, us_median=communication + 930.0))
        whole = {**own, "backend": ""}
        rows += [
            a_row(**whole, part=LAYERS, stage=1, count=32, us_median=800.0),
            a_row(**whole, part=HEAD, us_median=100.0),
        ]
    return rows
