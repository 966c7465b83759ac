"""Launchers: the one that started this process, whether it formed one MPI world, and starting local ranks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

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
STOP_SECONDS = 8.0
_HYDRA_HERE = ("-launcher", "fork", "-hosts", "localhost")  # in an allocation Hydra would use its nodes


@dataclass(frozen=True)
class Launcher:
    """A launcher, from the environment: its name, this process's rank, and the number of processes, if known."""

    name: str
    rank: int
    size: int | None


def detect(variables: Mapping[str, str]) -> Launcher | None:
    """The launcher that started this process, or None.

    A Slurm step of one task does not count: salloc and ``srun --pty`` run a shell in one.
    """
    for name, rank, size in _SIGNS:
        count = variables.get(size, "")
        if name == "srun" and (count in ("", "1") or "SLURM_STEP_ID" not in variables):
            continue
        if variables.get(rank, "").isdigit():
            return Launcher(name, int(variables[rank]), int(count) if count.isdigit() else None)
    return None


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
    raise UsageError(f"{launcher.name} started {launcher.size} processes, but each is a separate MPI world; {fix}.")


def find_mpiexec() -> tuple[Path, str]:
    """The mpiexec of the MPI that mpi4py loads, and the name of that MPI.

    It is next to the library (wheels, modules) or, for a system's MPI, on the PATH. Raises UsageError without one.
    """
    import mpi4py

    mpi4py.rc.initialize = False
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            f"mpi4py finds no MPI library ({error}); pip install 'collbench[mpich]', or load your cluster's MPI."
        ) from None
    from collbench.host.environment import mapped_path

    vendor = MPI.get_vendor()[0]
    library = mapped_path()
    bundled = Path(library).resolve().parent.parent / "bin" / "mpiexec" if library else None
    if bundled and bundled.exists():
        return bundled, vendor
    found = shutil.which("mpiexec")
    if found is None:
        raise UsageError(f"found no mpiexec for {vendor}; start the ranks yourself: mpiexec -n 4 collbench ...")
    return Path(found), vendor


def _settings(vendor: str) -> dict[str, str]:
    """Settings that let Open MPI run as root and with more ranks than cores; both are safe for ranks on one machine."""
    if vendor != "Open MPI":
        return {}
    return {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",  # Open MPI 4
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",  # Open MPI 5
        "OMPI_MCA_osc": "^ucx",
    }


def run_ranks(ranks: int, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run ``collbench`` with ``arguments`` on ``ranks`` ranks of this machine and return its exit code.

    ``variables`` are added to the environment. SIGINT and SIGTERM are forwarded to mpiexec, which is killed if it does
    not exit within ``STOP_SECONDS``; the exit code is then 128 plus the signal's number, as in a shell.
    """
    mpiexec, vendor = find_mpiexec()
    here = _HYDRA_HERE if vendor == "MPICH" and "SLURM_JOB_ID" in os.environ else ()
    command = [str(mpiexec), *here, "-n", str(ranks), sys.executable, "-m", "collbench", *arguments]
    child = subprocess.Popen(command, env={**_settings(vendor), **os.environ, **variables})
    seen: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        child.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = _wait(child, seen)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 128 + seen[0] if seen else code


def _wait(child: subprocess.Popen[bytes], seen: list[int]) -> int:
    while True:
        try:
            code = child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            if seen:
                child.kill()
            continue
        return code if code >= 0 else 128 - code
