"""Measures ``results/tcp-nodes.csv`` and draws its charts.

``PYTHONPATH=tests python -m lab.evidence [FILE]``: four hosts with two ranks each, on one machine, and a network whose
delay and rate the sidecar records (COLLBENCH_NOTE). Resumes an incomplete file. Needs root and MPICH's wheel, and takes
about a quarter of an hour on two idle cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.launch import job
from lab.network import Link, missing, network

HOSTS, RANKS_A_HOST, LAUNCHES = 4, 2, 3
# A delay far above what the switch adds by itself (50 us), a rate far below what it carries (2 Gbit/s and more); with
# both, the two schedules meet in the middle of the sizes: on 4 nodes 7 - 2 delays take as long as 2 - 7/8 of 110 KB.
LINK = Link(delay_us=1000, rate_mbit=200)
SWEEP = (
    "sweep", "--backend", "mpi,mpi-nvrar,mpi-ring", "--nodes", "2,3,4", "--sizes", "4K:1M:x4", "--max-seconds", "0.5",
    "--timeout", "300", "--launches", str(LAUNCHES), "--resume",
)  # fmt: skip


def measure(path: Path, hosts: int, per_host: int, link: Link, sweep: Sequence[str]) -> None:
    """All launches, each with a network of its own; CalledProcessError where one fails."""
    variables = {"COLLBENCH_NOTE": f"hosts are network namespaces of one machine; link: {link}"}
    spin = len(os.sched_getaffinity(0)) > hosts * (per_host + 2)  # the switch has two threads for each host
    for _ in range(LAUNCHES):
        with network(hosts, link, spin) as net:
            command = job(net, per_host, sys.executable, "-m", "collbench", *sweep, "-o", str(path))
            subprocess.run(command, env={**os.environ, **net.environment, **variables}, check=True)


def main() -> None:
    """Measure, then draw."""
    reason = missing()
    if reason:
        sys.exit(f"No hosts here: {reason}.")
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "results/tcp-nodes.csv")
    measure(path, HOSTS, RANKS_A_HOST, LINK, SWEEP)
    subprocess.run([sys.executable, "-m", "collbench", "plot", "--baseline", "mpi-ring", str(path)], check=True)


if __name__ == "__main__":
    main()
