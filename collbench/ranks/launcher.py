"""The launcher that started this process, from the environment, and whether it formed one MPI world."""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError

# (name, variable of the rank, variable of the size). srun comes first: its plugins set the variables of others too. Its
# size is that of the step, since SLURM_NTASKS is also set in a batch script.
_SIGNS = (
    ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("mpiexec of Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpiexec", "PMI_RANK", "PMI_SIZE"),
    ("mpiexec of Cray PALS", "PALS_RANKID", "PALS_SIZE"),
    ("flux run", "FLUX_TASK_RANK", "FLUX_JOB_SIZE"),
    ("an unknown launcher", "PMIX_RANK", ""),
)
_DAEMONS = ("slurmstepd", "hydra_pmi_proxy", "mpiexec", "mpirun", "orted", "prte", "palsd", "flux-shell", "orterun")
_ADDRESS = re.compile(r"tcp4://([\d.]+):(\d+)")


@dataclass(frozen=True)
class Launcher:
    """A launcher, from the environment: its name, this process's rank, the number of processes, if known, and the
    variable by which it was found."""

    name: str
    rank: int
    size: int | None
    variable: str = ""

    @property
    def waits_for_all(self) -> bool:
        """Whether it lets the other ranks go on when one exits with an error before there is a world."""
        return self.name == "mpiexec"


def detect(variables: Mapping[str, str]) -> Launcher | None:
    """The launcher that started this process as one of several, or None.

    A step of one task does not count, since salloc and ``srun --pty`` run a shell in one; nor do variables that a
    launcher left in a shell and behind which nobody answers.
    """
    found = started_by(variables)
    return None if found is None or found.size == 1 else found


def started_by(variables: Mapping[str, str]) -> Launcher | None:
    """The launcher of this process, of any size; None where there is none that answers."""
    for name, rank, size in _SIGNS:
        count = variables.get(size, "")
        if name == "srun" and (not count or "SLURM_STEP_ID" not in variables):
            continue
        if variables.get(rank, "").isdigit() and (name == "srun" or _answers(name, variables)):
            return Launcher(name, int(variables[rank]), int(count) if count.isdigit() else None, rank)
    return None


def _answers(name: str, variables: Mapping[str, str]) -> bool:
    """Whether somebody is behind the variables of a launcher: an open socket, or a server that accepts connections.

    True where the variables give no address to try.
    """
    if name == "mpiexec" and "PMI_FD" in variables:
        return _is_socket(variables["PMI_FD"])
    if name == "mpiexec" and not any(
        key.startswith(("PMI", "PALS")) for key in variables.keys() - {"PMI_RANK", "PMI_SIZE"}
    ):
        return False  # MPICH's mpiexec passes a socket, others an address
    folder = variables.get("PMIX_SERVER_TMPDIR")
    if folder is None or Path(folder).exists():
        return True
    addresses = (_ADDRESS.search(value) for key, value in variables.items() if key.startswith("PMIX_SERVER_URI"))
    return any(found is not None and _accepts(found[1], int(found[2])) for found in addresses)


def _is_socket(descriptor: str) -> bool:
    with suppress(OSError, ValueError):
        return stat.S_ISSOCK(os.fstat(int(descriptor)).st_mode)
    return False


def _accepts(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def speaks(launcher: Launcher | None) -> bool:
    """Whether this process prints messages that concern all ranks: rank 0, or a process that no launcher's daemon
    started, since variables left in a shell may make it any rank."""
    if launcher is None or launcher.rank == 0:
        return True
    with suppress(OSError):
        parent = Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8")
        return not parent.startswith(_DAEMONS)
    return False


def split_up(launcher: Launcher, world_size: int) -> bool:
    """Whether the launcher started several processes, each in a separate MPI world of one rank."""
    return launcher.size not in (None, 1) and world_size == 1


def check_world(launcher: Launcher, world_size: int) -> None:
    """Raise UsageError where the launcher started N worlds of one rank instead of one world of N."""
    if not split_up(launcher, world_size):
        return
    if launcher.name == "srun":
        fix = "select the plugin for your MPI: srun --mpi=pmi2 (MPICH, Cray) or --mpi=pmix (Open MPI)"
    else:
        fix = "use the mpiexec of the MPI that mpi4py loads; `collbench doctor` prints both"
    raise UsageError(
        f"{launcher.name} started {launcher.size} processes, but each is a separate MPI world; {fix}. If no launcher "
        f"started this process, unset {launcher.variable}."
    )
