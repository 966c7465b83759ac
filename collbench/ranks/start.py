"""Starting ranks on this machine: how many, how often, and what they are passed."""

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
CHILD = "COLLBENCH_CHILD"  # set for ranks that we start: they leave the report to the process that started them
ON_TERMINAL, OFF_TERMINAL = "on a terminal", "off"
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Child:
    """A rank that collbench itself started, from a terminal or not."""

    on_terminal: bool


def child_of(variables: Mapping[str, str]) -> Child | None:
    """Whether collbench started this process, by its environment."""
    return Child(variables[CHILD] == ON_TERMINAL) if CHILD in variables else None


def ranks_to_start(topology: Topology) -> int:
    """Ranks of a launch of our own: what the worlds need, else one a GPU, else four. Raises UsageError where this
    machine has too few GPUs or the worlds do not fit."""
    gpus = gpu_count()
    if topology.on_gpus and not gpus:
        raise UsageError("--gpus asks for GPUs and this machine has none; use --ranks for CPU ranks.")
    wanted = topology.wanted_ranks(gpus or CPU_RANKS)
    if topology.on_gpus and wanted > gpus:
        raise UsageError(f"--gpus {wanted} asks for more than the {gpus} GPUs of this machine.")
    if wanted == 1 and not topology.ranks:
        wanted = 2
    layouts_for(topology, ["here"] * wanted)
    return wanted


def launch_ranks(ranks: int, arguments: Sequence[str], launches: int, variables: Mapping[str, str] = NOTHING) -> int:
    """Run ``collbench ARGUMENTS`` on ranks of this machine, launch after launch; the exit code of the last one.

    It stops at the first launch that does not end well. The ranks get ``variables`` besides the environment, and leave
    the report to us.
    """
    child = {CHILD: ON_TERMINAL if sys.stderr.isatty() else OFF_TERMINAL}
    for _ in range(launches):
        code = launcher.run_ranks(ranks, arguments, {**child, **variables})
        if code:
            return code
    return Exit.FINE
