"""NVIDIA GPUs of this machine, and the packages that GPU backends need."""

from __future__ import annotations

import importlib.util
import os
from itertools import takewhile
from pathlib import Path

GPU_PACKAGES = {
    "cupy": "cupy-cuda13x",
    "cuda.bindings": "cuda-bindings",
    "cuda.core": "cuda-core",
    "nccl": "nccl4py",
}


def gpu_count() -> int:
    """Number of NVIDIA GPUs that this process may use; 0 without a driver."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if allowed is None or not present:
        return present
    entries = [entry.strip() for entry in allowed.split(",")]
    return min(present, len(list(takewhile(lambda entry: _is_gpu(entry, present), entries))))


def _is_gpu(entry: str, present: int) -> bool:
    """Whether an entry names a device; CUDA ignores the list from the first entry that does not."""
    return int(entry) < present if entry.isdecimal() else entry.startswith(("GPU-", "MIG-"))


def gpu_missing(**more: str) -> str | None:
    """What GPU backends lack here and how to install it, or None. ``more``: module=distribution."""
    if gpu_count() == 0:
        return "needs an NVIDIA GPU"
    lacking = [package for module, package in {**GPU_PACKAGES, **more}.items() if not _installed(module)]
    return f"{', '.join(lacking)} not installed; pip install 'collbench[gpu]'" if lacking else None


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
