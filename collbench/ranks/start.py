"""Starting ranks on this machine: their number, and what they know of the process that starts them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

from collbench.errors import UsageError
from collbench.host.environment import CHILD, allowed_variables
from collbench.host.gpus import gpu_count
from collbench.host.memory import host_room, show_bytes
from collbench.host.processes import Running, this_process
from collbench.plan.variants import Variant
from collbench.plan.worlds import Topology, layouts_for
from collbench.ranks import launcher, mpiexec
from collbench.ranks.launcher import Launcher

CPU_RANKS = 4
LEAST_BYTES = 32 << 20  # that a rank takes: an interpreter with NumPy and MPI
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Child:
    """A rank that collbench started: the process that started it, which prints the report, and the leg of the launch
    that it times (the label of a variant, "" for plain backends)."""

    starter: Running
    leg: str = ""


def child_of(variables: Mapping[str, str]) -> Child | None:
    """The ``Child`` that this process is, by its environment; None if collbench did not start it."""
    if CHILD not in variables:
        return None
    known = json.loads(variables[CHILD])
    return Child(Running(**known["starter"]), known["leg"])


def launch_of(variables: Mapping[str, str]) -> Launcher | None:
    """The launcher that started this process as a rank, or None; collbench may start a single rank."""
    return launcher.started_by(variables) if CHILD in variables else launcher.detect(variables)


def ranks_to_start(topology: Topology) -> int:
    """The number of ranks to start: as many as the worlds need, else one per GPU, else four.

    Raises UsageError where this machine has too few GPUs or too little memory, or the worlds do not fit.
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
    _check_memory(wanted)
    layouts_for(topology, ["here"] * wanted)
    return wanted


def _check_memory(ranks: int) -> None:
    """Raise UsageError for more ranks than this machine holds; they would end others before they end themselves."""
    room = host_room()
    if ranks * LEAST_BYTES > room.bytes:
        need, free = show_bytes(ranks * LEAST_BYTES), show_bytes(room.bytes)
        raise UsageError(f"{ranks} ranks take {need} of memory at least, and {free} are free {room.where}; use fewer.")


def launch_ranks(
    ranks: int,
    arguments: Sequence[str],
    variables: Mapping[str, str] = NOTHING,
    watch: Callable[[], object] = lambda: None,
    variant: Variant | None = None,
) -> int:
    """Run ``collbench ARGUMENTS`` on ranks of this machine; returns the exit code.

    ``variables``, and those of the ``variant`` that the ranks time, are added to the environment; ``watch`` is called
    about twice per second meanwhile. The ranks print no report, and end when this process does.
    """
    leg, settings = (variant.label, dict(variant.variables)) if variant else ("", {})
    child = {"starter": asdict(this_process()), "variables": allowed_variables(os.environ), "leg": leg}
    return mpiexec.run_ranks(ranks, arguments, {CHILD: json.dumps(child), **variables, **settings}, watch)
