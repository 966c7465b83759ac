"""Times the schedules between nodes on 4 and 8 hosts, into ``results/cpu-nodes-1000us.csv`` and ``-2000us.csv``.

``PYTHONPATH=tests python -m lab.between [FOLDER [OPTION...]]``: hosts with one rank each, on one machine, and a network
first with one delay, then with the other; options of ``sweep`` replace those here. Resumes incomplete files and prints
the slopes (lab.slopes). Needs root and MPICH's wheel, and takes about 40 minutes on two cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lab.evidence import LAUNCHES, measure
from lab.network import Link, missing
from lab.slopes import table

NODES, DELAYS = (4, 8), (1000, 2000)  # us: far above what ranks and the switch add where they share processors
WAYS = ("one-shot", "two-shot", "halving", "by-size")
BACKENDS = ("mpi", "mpi-nvrar", *(f"mpi-nvrar:between={way}" for way in WAYS), "mpi-ring")
SWEEP = (
    "sweep", "--backend", ",".join(BACKENDS), "--nodes", ",".join(map(str, NODES)), "--sizes",
    "4K:1M:x4", "--max-seconds", "0.15", "--timeout", "300", "--launches", str(LAUNCHES), "--resume",
)  # fmt: skip


def main() -> None:
    """Measure on both links, then print."""
    reason = missing()
    if reason:
        sys.exit(f"No hosts here: {reason}.")
    folder, *options = sys.argv[1:] or ["results"]
    paths = [Path(folder, f"cpu-nodes-{delay}us.csv") for delay in DELAYS]
    for path, delay in zip(paths, DELAYS, strict=True):
        measure(path, max(NODES), 1, Link(delay), [*SWEEP, *options])
    print(table(*paths))


if __name__ == "__main__":
    main()
