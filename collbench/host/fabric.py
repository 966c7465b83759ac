"""What connects the ranks: the values of the column ``fabric``; a failed probe counts as a missing device."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from collbench.host import procfs
from collbench.plan.layout import VIRTUAL


def network() -> str:
    """The network between hosts: Slingshot or InfiniBand where this host has such a device, else TCP."""
    if os.environ.get("FI_PROVIDER") == "cxi" or Path("/sys/class/cxi").exists():
        return "slingshot"
    layers = map(procfs.text, Path("/sys/class/infiniband").glob("*/ports/*/link_layer"))
    return "infiniband" if "InfiniBand" in layers else "tcp"


def gpu_link() -> str:
    """How the GPUs of this host are connected: ``nvlink`` where a link is up, ``pcie``, or ``unknown`` without GPUs."""
    try:
        import pynvml
    except ImportError:
        return "unknown"
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        return "nvlink" if _has_nvlink(pynvml) else "pcie"
    return "unknown"


def _has_nvlink(pynvml: Any) -> bool:
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    with suppress(pynvml.NVMLError):  # raised at the first link that this GPU does not have
        return any(pynvml.nvmlDeviceGetNvLinkState(handle, link) for link in range(pynvml.NVML_NVLINK_MAX_LINKS))
    return False


def fabric_name(device: str, one_host: bool, virtual: bool) -> str:
    """What connects ranks inside one host, or between hosts; ends in ``-virtual`` for virtual nodes."""
    inside = gpu_link() if device == "gpu" else "shm"
    return (inside if one_host else network()) + (VIRTUAL if virtual else "")
