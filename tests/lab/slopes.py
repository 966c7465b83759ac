"""Trips, from latencies on two links: the additional time on the link with the longer delay, in units of that delay.

``PYTHONPATH=tests python -m lab.slopes NEAR.csv FAR.csv`` prints, beside the trips and bytes of each case, its latency
on both links, whose delays are in their sidecars. The latencies differ by the trips that wait for each other, whatever
the processors add; both links should have the same rate.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from collbench.backends._between_nodes import SCHEDULES
from collbench.backends._trips import trips
from collbench.plan.sizes import format_size
from collbench.results.records import Record, load

Case = tuple[int, int, str]  # nodes, bytes, backend
KERNEL = re.compile("nvrar_put[a-z_]*")


def case_of(row: Record) -> Case:
    return row.nodes, row.bytes, row.backend


def trips_of(row: Record) -> int | None:
    """The trips that wait for each other, with one rank a node; None where the library decides."""
    if row.backend == "mpi-ring":
        return 2 * (row.nodes - 1)
    if kernel := KERNEL.fullmatch(row.param.get("kernel", "")):
        return trips(kernel[0].replace("_", "-"), row.nodes)
    way = row.param.get("between")
    return SCHEDULES[way].cost(row.nodes).trips if way else None


def delay_us(path: Path) -> float:
    """The delay, one way in microseconds, that the sidecar of a results file states. Raises ValueError."""
    found = re.search(r"link: ([0-9.]+) us one way", path.with_suffix(".json").read_text())
    if not found:
        raise ValueError(f"the sidecar of {path} states no delay of a link")
    return float(found[1])


def middles(rows: Sequence[Record]) -> dict[Case, float]:
    """Medians over launches in us; only of cases that have a latency in every launch."""
    cases: dict[Case, list[float | None]] = {}
    for row in rows:
        cases.setdefault(case_of(row), []).append(row.latency_us_median)
    return {case: median(filter(None, found)) for case, found in cases.items() if all(found)}


def lines(near: Sequence[Record], far: Sequence[Record], further_us: float) -> Iterator[str]:
    """A line for each case: what it took on both links, and the trips that explain the difference; ``further_us`` is by
    how much the delay of ``far`` is longer."""
    of = {case_of(row): row for row in near}
    slow = middles(far)
    yield f"{'nodes':>5} {'size':>8}  {'backend':28} {'near us':>9} {'far us':>9} {'slope':>6} {'trips':>6} {'sent':>9}"
    for case, us in sorted(middles(near).items()):
        if case not in slow:
            continue
        nodes, size, backend = case
        wire, slope = of[case].wire_bytes, (slow[case] - us) / further_us
        sent = "-" if wire is None else f"{wire / size:.2f} S"
        yield (
            f"{nodes:5} {format_size(size):>8}  {backend:28} {us:9.0f} {slow[case]:9.0f} {slope:6.2f} "
            f"{trips_of(of[case]) or '-':>6} {sent:>9}"
        )


def table(near: Path, far: Path) -> str:
    """The lines for two results files. Raises ValueError where a sidecar states no delay."""
    return "\n".join(lines(load(near), load(far), delay_us(far) - delay_us(near)))


if __name__ == "__main__":
    print(table(*map(Path, sys.argv[1:])))
