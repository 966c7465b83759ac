"""Starting ranks on this machine: their number, launches, arguments and environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from collbench.errors import Exit, UsageError
from collbench.host.gpus import gpu_count
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks import launcher

CPU_RANKS = 4
CHILD = "COLLBENCH_CHILD"  # set for ranks that collbench starts: the process that starts them prints the report
ON_TERMINAL, OFF_TERMINAL = "on a terminal", "off"
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Child:
    """A rank started by collbench; ``on_terminal``: stderr of the starting process is a terminal."""

    on_terminal: bool


def child_of(variables: Mapping[str, str]) -> Child | None:
    """The ``Child`` that this process is, by its environment; None if collbench did not start it."""
    return Child(variables[CHILD] == ON_TERMINAL) if CHILD in variables else None


def ranks_to_start(topology: Topology) -> int:
    """The number of ranks to start: as many as the worlds need, else one per GPU, else four.

    Raises UsageError where this machine has too few GPUs or the worlds do not fit.
    """
    gpus = gpu_count()
    if topology.on_gpus and not gpus:
        raise UsageError("--gpus needs an NVIDIA GPU; use --ranks for CPU ranks.")
    wanted = topology.wanted_ranks(gpus or CPU_RANKS)
    if topology.on_gpus and wanted > gpus:
        raise UsageError(
            f"--gpus {wanted} needs {wanted} GPUs, but this machine has {gpus}; use --gpus {gpus} or fewer."
        )
    if wanted == 1 and not topology.ranks:
        wanted = 2
    layouts_for(topology, ["here"] * wanted)
    return wanted


def launch_ranks(ranks: int, arguments: Sequence[str], launches: int, variables: Mapping[str, str] = NOTHING) -> int:
    """Run ``collbench ARGUMENTS`` on ranks of this machine, one launch after another; returns the last exit code.

    Stops at the first launch that fails. ``variables`` are added to the environment. The ranks print no report.
    """
    child = {CHILD: ON_TERMINAL if sys.stderr.isatty() else OFF_TERMINAL}
    for _ in range(launches):
        code = launcher.run_ranks(ranks, arguments, {**child, **variables})
        if code:
            return code
    return Exit.FINE
