"""Starting ranks of our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from collbench.errors import Exit, UsageError
from collbench.host.gpus import gpu_count
from collbench.plan.worlds import Topology
from collbench.ranks import launcher

CPU_RANKS = 4
CHILD = "COLLBENCH_CHILD"  # set for ranks that we started: they leave the report to us
ON_TERMINAL, OFF_TERMINAL = "on a terminal", "off"


def ranks_to_start(topology: Topology, needs_gpus: bool) -> int:
    """Ranks of a launch of our own: what the worlds need, else one a GPU, else four."""
    gpus = gpu_count()
    if needs_gpus and not gpus:
        raise UsageError("--gpus asks for GPUs and this machine has none; use --ranks for CPU ranks.")
    wanted = topology.wanted_ranks(gpus or CPU_RANKS)
    if needs_gpus and wanted > gpus:
        raise UsageError(f"--gpus {wanted} asks for more than the {gpus} GPUs of this machine.")
    if wanted == 1 and not topology.ranks:
        wanted = 2
    return wanted


def launch_ranks(ranks: int, arguments: Sequence[str], launches: int) -> int:
    """Run ``collbench ARGUMENTS`` on ranks of our own, launch after launch; the exit code of the last one.

    It stops at the first that does not end well. The ranks leave the report to us.
    """
    os.environ[CHILD] = ON_TERMINAL if sys.stderr.isatty() else OFF_TERMINAL
    for _ in range(launches):
        code = launcher.run_ranks(ranks, arguments)
        if code:
            return code
    return Exit.FINE
