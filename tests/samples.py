"""Ready-made values for tests; each test changes only what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.plan.sweep import Sweep
from collbench.results.records import TYPES, Record, dump

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=9)
NUMBERS = {int: st.integers(1, 1 << 50), float: st.floats(1e-6, 1e12), bool: st.booleans(), str: WORDS}
RECORDS = st.lists(
    st.builds(
        Record,
        **{
            name: st.one_of(*([st.none()] if may_be_empty else []), NUMBERS[kind])
            for name, (kind, may_be_empty) in TYPES.items()
            if name not in ("latency_us_ci_low", "latency_us_ci_high", "skew")
        },
        skew=st.sampled_from(["", "0", "20us", "1.5us:3"]),
    ),
    max_size=4,
    unique_by=lambda row: (row.launch, row.identity),
)


def a_record(**changes: Any) -> Record:
    """A row of a case that ran well: an all-reduce of 4 KiB on 4 ranks of one host."""
    record = Record(
        run_id="20260102T030405-here",
        launch=0,
        collective="all_reduce",
        backend="mpi",
        dtype="float32",
        op="sum",
        bytes=4096,
        count=1024,
        ranks=4,
        nodes=1,
        gpus_per_node=4,
        fabric="shm",
        mode="chain",
        in_place=False,
        params="cache=hot",
        status="ok",
        reason="",
        samples=20,
        warmups=10,
        latency_us_median=10.0,
        latency_us_ci_low=9.9,
        latency_us_ci_high=10.1,
        latency_us_mean=10.2,
        latency_us_min=9.0,
        latency_us_p05=9.5,
        latency_us_p95=11.0,
        latency_us_p99=12.0,
        latency_us_max=13.0,
        algbw_gb_s=0.4096,
        busbw_gb_s=0.6144,
        wrong=0,
    )
    return replace(record, **changes)


def timed(median_us: float, **changes: Any) -> Record:
    """A row with this median in microseconds, known within 1 %."""
    return a_record(
        latency_us_median=median_us,
        latency_us_ci_low=median_us * 0.99,
        latency_us_ci_high=median_us * 1.01,
        **changes,
    )


def untimed(status: str, reason: str = "", **changes: Any) -> Record:
    """A row of a case without a number."""
    return a_record(
        status=status,
        reason=reason,
        samples=None,
        latency_us_median=None,
        latency_us_ci_low=None,
        latency_us_ci_high=None,
        algbw_gb_s=None,
        busbw_gb_s=None,
        **changes,
    )


def a_file_with(**cells: str) -> str:
    """The text of a results file whose only row has these cells."""
    head, row = (line.split(",") for line in dump([a_record()]).splitlines())
    changed = [cells.get(name, cell) for name, cell in zip(head, row, strict=True)]
    return ",".join(head) + "\n" + ",".join(changed) + "\n"


def a_layout(ranks: int, nodes: int = 1, virtual: bool = False) -> Layout:
    """``ranks`` ranks, spread evenly over ``nodes`` nodes."""
    return Layout(tuple(range(ranks)), tuple(rank * nodes // ranks for rank in range(ranks)), virtual)


def a_problem(name: str = "all_reduce", dtype: str = "float32", ranks: int = 4, **changes: Any) -> Problem:
    """An out-of-place sum of 4 KiB with hot buffers."""
    op = "sum" if COLLECTIVES[name].reduces else ""
    problem = Problem(a_layout(ranks), COLLECTIVES[name], DTYPES[dtype], op, 4096, "chain", "hot", False)
    return replace(problem, **changes)


def a_sweep(**changes: Any) -> Sweep:
    """One case: an all-reduce of 4 KiB on ``mpi``."""
    sweep = Sweep(
        collectives=("all_reduce",),
        backends=("mpi",),
        sizes=(4096,),
        dtypes=("float32",),
        ops=("sum",),
        modes=("chain",),
        caches=("hot",),
        in_place=(False,),
    )
    return replace(sweep, **changes)
