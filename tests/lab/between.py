"""Measures what ``results/cpu-nodes-50us.csv`` and ``-200us.csv`` hold: the ways to add up between 4 and 8 hosts.

``PYTHONPATH=tests python -m lab.between [FOLDER [OPTION...]]``: hosts with one rank each, on one machine, and a network
with one delay and then the other; options of ``sweep`` replace those here. Resumes incomplete files, and prints beside
the steps and bytes of each way what it took. The latencies of two delays differ by the steps that wait for each other,
whatever processors add: a slope in steps. Needs root and MPICH's wheel, and about half an hour on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from collbench.backends._between_nodes import SCHEDULES
from collbench.plan.sizes import format_size
from collbench.results.records import Record, load
from lab.evidence import LAUNCHES, measure
from lab.network import Link, missing

Case = tuple[int, int, str]  # nodes, bytes, backend

NODES, DELAYS = (4, 8), (50, 200)
WAYS = ("one-shot", "two-shot", "halving", "by-size")
BACKENDS = ("mpi", "mpi-nvrar", *(f"mpi-nvrar:between={way}" for way in WAYS), "mpi-ring")
SWEEP = (
    "sweep", "--backend", ",".join(BACKENDS), "--nodes", ",".join(map(str, NODES)), "--sizes",
    "4K:1M:x4", "--max-seconds", "0.3", "--timeout", "300", "--launches", str(LAUNCHES), "--resume",
)  # fmt: skip


def case_of(row: Record) -> Case:
    return row.nodes, row.bytes, row.backend


def steps_of(row: Record) -> int | None:
    """The steps that wait for each other, with one rank a node; None where the library decides."""
    if row.backend == "mpi-ring":
        return 2 * (row.nodes - 1)
    way = row.param.get("between")
    return SCHEDULES[way].cost(row.nodes).trips if way else None


def middles(rows: Sequence[Record]) -> dict[Case, float]:
    """Medians over launches in us; only of cases that have a latency in every launch."""
    cases: dict[Case, list[float | None]] = {}
    for row in rows:
        cases.setdefault(case_of(row), []).append(row.latency_us_median)
    return {case: median(filter(None, found)) for case, found in cases.items() if all(found)}


def lines(near: Sequence[Record], far: Sequence[Record], further_us: float) -> Iterator[str]:
    """A line for each case: what it took on both links, and the steps that explain the difference; ``further_us`` is by
    how much the delay of ``far`` is longer."""
    of = {case_of(row): row for row in near}
    slow = middles(far)
    yield f"{'nodes':>5} {'size':>8}  {'backend':28} {'near us':>9} {'far us':>9} {'slope':>6} {'steps':>6} {'sent':>9}"
    for case, us in sorted(middles(near).items()):
        if case not in slow:
            continue
        nodes, size, backend = case
        wire, slope = of[case].wire_bytes, (slow[case] - us) / further_us
        sent = "-" if wire is None else f"{wire / size:.2f} S"
        yield (
            f"{nodes:5} {format_size(size):>8}  {backend:28} {us:9.0f} {slow[case]:9.0f} {slope:6.1f} "
            f"{steps_of(of[case]) or '-':>6} {sent:>9}"
        )


def main() -> None:
    """Measure on both links, then print."""
    reason = missing()
    if reason:
        sys.exit(f"No hosts here: {reason}.")
    folder, *options = sys.argv[1:] or ["results"]
    paths = [Path(folder, f"cpu-nodes-{delay}us.csv") for delay in DELAYS]
    for path, delay in zip(paths, DELAYS, strict=True):
        measure(path, max(NODES), 1, Link(delay), [*SWEEP, *options])
    near, far = map(load, paths)
    print("\n".join(lines(near, far, DELAYS[1] - DELAYS[0])))


if __name__ == "__main__":
    main()
