"""Tests whether preparing a case again inside a launch varies as much as a fresh launch.

``mpiexec -n RANKS python -m lab.replicates TIMES sweep ... --launches 999 --resume -o FILE`` runs a launch that
prepares every case TIMES times, each with new communicators, buffers and graphs and a launch number of its own, every
second time among other allocations. Run it several times into one file; ``python -m lab.replicates TIMES FILE`` then
compares the spread within launches with that between them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from collbench.results.records import Record, load


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the logarithm of medians within launches and between them, and the F ratio (1 if there is
    nothing between them) with its probability by chance."""

    within: float
    between: float
    ratio: float
    chance: float


def spread(rows: Sequence[Record], times: int) -> Spread:
    """One-way analysis of variance, pooled over cases, whose rows are ``times`` for each launch of processes."""
    from scipy.stats import f

    cases: dict[object, list[Record]] = {}
    for row in rows:
        cases.setdefault(row.identity, []).append(row)
    logs = np.array([[np.log(row.latency_us_median or np.nan) for row in _ordered(case)] for case in cases.values()])
    cube = logs.reshape(len(cases), -1, times)
    number, launches, _ = cube.shape
    middle = cube.mean(axis=2)
    free_within, free_between = number * launches * (times - 1), number * (launches - 1)
    within = float(((cube - middle[..., None]) ** 2).sum()) / free_within
    between = times * float(((middle - middle.mean(axis=1, keepdims=True)) ** 2).sum()) / free_between
    ratio = between / within
    deviation = (max(0.0, between - within) / times) ** 0.5
    return Spread(within**0.5, deviation, ratio, float(f.sf(ratio, free_between, free_within)))


def _ordered(rows: Sequence[Record]) -> list[Record]:
    return sorted(rows, key=lambda row: row.launch)


def prepare_again(times: int) -> None:
    """Make each launch of this process prepare its cases ``times`` times; ranks must share one host."""
    from collbench import registry
    from collbench.measure import launch
    from collbench.measure.continuing import read_launches
    from collbench.plan.sweep import make_plan

    once, held = launch._run_launch, list[Any]()

    def pad(number: int) -> None:
        import cupy

        held.clear()
        if number % 2:
            draw = random.Random(number)
            held.extend(cupy.cuda.memory.Memory(draw.randrange(1, 200) << 20) for _ in range(4))

    def run_launch(request: Any, everyone: Any, dog: Any, opened: Any, planned: Any, progress: Any) -> None:
        for number in range(planned.number, planned.number + times):
            if "gpu" in planned.devices:
                pad(number)
            plan = everyone.led(partial(make_plan, request.sweep, opened.layouts, number, registry.refusals()))
            so_far = replace(opened, records=tuple(load(request.path)), entries=tuple(read_launches(request.path)))
            once(request, everyone, dog, so_far, replace(planned, number=number, plan=plan), progress)
            everyone.launch.Barrier()

    vars(launch)["_run_launch"] = run_launch


def main() -> None:
    """Run a launch, or print the spread of each backend of a file."""
    times = int(sys.argv.pop(1))
    if Path(sys.argv[1]).suffix == ".csv":
        rows = load(Path(sys.argv[1]))
        for name in sorted({row.backend for row in rows}):
            found = spread([row for row in rows if row.backend == name], times)
            print(f"{name}: within {found.within:.2%}, between {found.between:.2%}, F {found.ratio:.2f}, "
                  f"p {found.chance:.1e}")  # fmt: skip
        return
    prepare_again(times)
    from collbench.__main__ import main as collbench

    collbench()


if __name__ == "__main__":
    main()
