"""The mpiexec of the loaded MPI, and a run of collbench on ranks of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from collbench.errors import UsageError
from collbench.ranks.library import load_mpi

STOP_SECONDS = 8.0
POLL_SECONDS = 0.5
# What launchers and resource managers leave in the environment. Ranks of our own see none of it: a launcher would take
# their mpiexec for its own rank, and a resource manager would have it start them on other hosts.
_LEFT_BEHIND = (
    "PMI_", "PMI2_", "PMIX_", "PALS_", "FLUX_", "HYDI_", "HYDRA_HOST_FILE", "HYDRA_RMK", "HYDRA_LAUNCHER",
    "HYDRA_BOOTSTRAP", "I_MPI_HYDRA_", "MPI_LOCAL", "OMPI_COMM_WORLD_", "OMPI_WORLD_", "OMPI_UNIVERSE_", "OMPI_FILE_",
    "OMPI_ARGV", "OMPI_COMMAND", "OMPI_NUM_APP_CTX", "OMPI_FIRST_RANKS", "OMPI_APP_CTX", "OMPI_TOOL_NAME",
    "OMPI_MCA_orte_", "OMPI_MCA_ess", "OMPI_MCA_plm", "OMPI_MCA_ras", "OMPI_MCA_initial_wdir", "OMPI_MCA_num_procs",
    "OMPI_MCA_hwloc_base_binding_policy", "PRTE_LAUNCHED", "PRTE_SHARED_FS", "PRTE_MCA_plm", "PRTE_MCA_ras",
    "PRTE_MCA_prte_default_hostfile", "SLURM", "PBS_", "LSB_", "LSF_", "LS_", "SGE_", "PE_HOSTFILE", "NHOSTS", "NSLOTS",
    "COBALT_", "OAR_", "LOADL_",
)  # fmt: skip
_KEPT = ("PMIX_MCA_",)  # settings of the user


def find_mpiexec() -> tuple[Path, str]:
    """The mpiexec of the MPI that mpi4py loads, and the name of that MPI.

    It is next to the library (wheels, modules) or, for a system's MPI, on the PATH. Raises UsageError without one.
    """
    import mpi4py

    mpi4py.rc.initialize = False
    load_mpi()
    from mpi4py import MPI

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
    """Settings that let Open MPI run as root, with more ranks than cores, and without looking for ssh; all are safe for
    ranks on one machine."""
    if vendor != "Open MPI":
        return {}
    return {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",  # Open MPI 4
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",  # Open MPI 5
        "OMPI_MCA_plm_rsh_agent": "false",  # Open MPI 4
        "PRTE_MCA_plm_ssh_agent": "false",  # Open MPI 5
        "OMPI_MCA_osc": "^ucx",
    }


def _stay_here(vendor: str, ranks: int) -> tuple[str, ...]:
    """Options with which mpiexec forks the ranks on this machine, whatever hosts an allocation or a file names."""
    if vendor == "Open MPI":
        return ("--host", f"localhost:{ranks}")
    if vendor in ("MPICH", "MVAPICH", "MVAPICH2"):
        return ("-launcher", "fork", "-hosts", "localhost")
    return ("-bootstrap", "fork", "-hosts", "localhost") if vendor == "Intel MPI" else ()


def without_launcher(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables of launchers and resource managers."""
    return {
        name: value for name, value in variables.items() if name.startswith(_KEPT) or not name.startswith(_LEFT_BEHIND)
    }


def python_command() -> list[str]:
    """The command that runs collbench in this Python, without the working directory among its modules.

    Where this process itself found collbench there and nowhere else, as in a checkout, the directory stays.
    """
    checkout = str(Path(__file__).parents[2])
    elsewhere = {os.path.realpath(folder) for folder in sys.path[1:] if folder}
    is_here = not sys.flags.safe_path and os.path.realpath(sys.path[0] or ".") == checkout == os.path.realpath(".")
    return [sys.executable, *([] if is_here and checkout not in elsewhere else ["-P"]), "-m", "collbench"]


def run_ranks(
    ranks: int, arguments: Sequence[str], variables: Mapping[str, str], watch: Callable[[], object] = lambda: None
) -> int:
    """Run ``collbench`` with ``arguments`` on ``ranks`` ranks of this machine and return its exit code.

    ``variables`` are added to an environment without launchers; ``watch`` is called every ``POLL_SECONDS``. What the
    ranks print goes to standard error. SIGINT and SIGTERM are forwarded to mpiexec, which is killed if it does not exit
    within ``STOP_SECONDS``; the exit code is then 128 plus the signal's number, as in a shell.
    """
    mpiexec, vendor = find_mpiexec()
    command = [str(mpiexec), *_stay_here(vendor, ranks), "-n", str(ranks), *python_command(), *arguments]
    environment = {**_settings(vendor), **without_launcher(os.environ), **variables}
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=2)
    seen: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        child.send_signal(number)

    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, forward) for number in heard}
    try:
        code = _wait(child, seen, watch)
    except BaseException:
        child.terminate()
        child.wait()
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 128 + seen[0] if seen else code


def _wait(child: subprocess.Popen[bytes], seen: list[int], watch: Callable[[], object]) -> int:
    """The exit code of mpiexec, which is killed ``STOP_SECONDS`` after a signal."""
    patience = STOP_SECONDS
    while True:
        try:
            code = child.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            watch()
            patience -= POLL_SECONDS if seen else 0
            if patience <= 0:
                child.kill()
            continue
        watch()
        return code if code >= 0 else 128 - code
