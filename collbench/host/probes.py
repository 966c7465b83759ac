"""What a host and a process are before anything is measured; every probe may fail softly, and loads neither MPI nor
CUDA."""

from __future__ import annotations

import dataclasses
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collbench.host.gpus import gpu_count

SYS, ROOT = Path("/sys/class"), Path("/")
# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h) that hold clocks down though there is work.
THROTTLES = {
    0x08: "hardware slowdown", 0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown",
    0x80: "power brake", 0x04: "software power cap",
}  # fmt: skip
_CONTAINERS = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "SHIFTER_RUNTIME")
_CONTAINER_FILES = (".dockerenv", "run/.containerenv")


@dataclass(frozen=True)
class Nic:
    """A port of a network adapter, in the words of the kernel: ``rate`` such as ``400 Gb/sec (4X NDR)``."""

    name: str
    link: str
    rate: str
    state: str


@dataclass(frozen=True)
class GpuState:
    """A GPU of the host, visible to this process or not; clocks in MHz, now and at most, None where NVML
    does not tell."""

    index: int
    name: str
    pci: str
    sm_mhz: int | None
    sm_max_mhz: int | None
    memory_mhz: int | None
    memory_max_mhz: int | None
    throttled: str | None


@dataclass(frozen=True)
class Reach:
    """Whether this process gets at a fabric that the kernel knows: its device files are there, its library loads."""

    name: str
    devices: bool
    soname: str
    loads: bool


@dataclass(frozen=True)
class Node:
    """A host. ``locked_bytes`` is how much memory a process may lock, None for any amount; ``container`` what this
    process runs in, if in one."""

    host: str
    cores: int
    gpus: tuple[GpuState, ...]
    nics: tuple[Nic, ...]
    interfaces: tuple[str, ...]
    locked_bytes: int | None
    container: str | None


Host = tuple[Node, tuple[Reach, ...]]


@dataclass(frozen=True)
class Process:
    """A rank: its host, its MPI as ``world.mpi_facts`` tells it, the cores it may run on, and the GPUs it may see."""

    host: str
    mpi: Mapping[str, Any]
    cores: tuple[int, ...]
    gpus: int
    visible: str | None


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8").strip()
    return ""


def nics(sys_class: Path = SYS) -> tuple[Nic, ...]:
    """Ports of InfiniBand and RoCE adapters, and Slingshot's interfaces."""
    found = []
    for port in sorted(sys_class.glob("infiniband/*/ports/*")):
        name = f"{port.parents[1].name}:{port.name}"
        state = _text(port / "state").split(":")[-1].strip()
        found.append(Nic(name, _text(port / "link_layer"), _text(port / "rate"), state))
    for link in sorted(sys_class.glob("net/hsn*")):
        speed = _text(link / "speed")
        rate = f"{int(speed) // 1000} Gb/sec" if speed.isdigit() else ""
        found.append(Nic(link.name, "Slingshot", rate, _text(link / "operstate")))
    return tuple(found)


def interfaces(sys_class: Path = SYS) -> tuple[str, ...]:
    """Names of the network interfaces."""
    return tuple(sorted(path.name for path in sys_class.glob("net/*")))


def _loads(library: str) -> bool:
    """Whether this process could load a shared library; tried in another one, since libraries act when loaded."""
    program = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    with suppress(OSError, subprocess.SubprocessError):
        run = subprocess.run([sys.executable, "-c", program, library], capture_output=True, timeout=10, check=False)
        return run.returncode == 0
    return False


def reaches(sys_class: Path = SYS, root: Path = ROOT) -> tuple[Reach, ...]:
    """How this process stands with each fabric that the kernel knows. Starts processes: ask before MPI runs."""
    kinds = (
        ("InfiniBand", "infiniband", "dev/infiniband/uverbs*", "libibverbs.so.1"),
        ("Slingshot", "cxi", "dev/cxi*", "libfabric.so.1"),
    )
    return tuple(
        Reach(name, any(root.glob(devices)), library, _loads(library))
        for name, folder, devices, library in kinds
        if any(sys_class.glob(f"{folder}/*"))
    )


def container(variables: Mapping[str, str], root: Path = ROOT) -> str | None:
    """What this process runs in: the variable or the file that a container's runtime leaves."""
    by_variable = next((name for name in _CONTAINERS if variables.get(name)), None)
    return by_variable or next((f"/{name}" for name in _CONTAINER_FILES if (root / name).exists()), None)


def nccl_plugins(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Network plugins that NCCL would find by LD_LIBRARY_PATH."""
    folders = [Path(folder) for folder in variables.get("LD_LIBRARY_PATH", "").split(":") if folder]
    return tuple(str(path) for folder in folders for path in sorted(folder.glob("libnccl-net*.so*")))


def locked_bytes() -> int | None:
    """Memory that this process may lock, in bytes; None for any amount."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft


def gpus() -> tuple[GpuState, ...]:
    """The host's GPUs as NVML sees them; none without it."""
    try:
        import pynvml
    except ImportError:
        return ()
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        return tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
    return ()


def _gpu(nvml: Any, index: int) -> GpuState:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def clock(ask: Callable[[Any, int], int], kind: int) -> int | None:
        with suppress(nvml.NVMLError):
            return ask(handle, kind)
        return None

    now, most = nvml.nvmlDeviceGetClockInfo, nvml.nvmlDeviceGetMaxClockInfo
    return GpuState(
        index=index,
        name=nvml.nvmlDeviceGetName(handle),
        pci=nvml.nvmlDeviceGetPciInfo(handle).busId,
        sm_mhz=clock(now, nvml.NVML_CLOCK_SM),
        sm_max_mhz=clock(most, nvml.NVML_CLOCK_SM),
        memory_mhz=clock(now, nvml.NVML_CLOCK_MEM),
        memory_max_mhz=clock(most, nvml.NVML_CLOCK_MEM),
        throttled=throttled(nvml, handle),
    )


def throttled(nvml: Any, handle: Any) -> str | None:
    """Why the clocks of a GPU are held down at this moment; None where they are not, or NVML does not tell."""
    with suppress(nvml.NVMLError):
        reasons = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
        return next((text for bit, text in THROTTLES.items() if reasons & bit), None)
    return None


def node(variables: Mapping[str, str]) -> Node:
    """This host."""
    return Node(
        host=platform.node(),
        cores=os.cpu_count() or 1,
        gpus=gpus(),
        nics=nics(),
        interfaces=interfaces(),
        locked_bytes=locked_bytes(),
        container=container(variables),
    )


def plain(node: Node) -> dict[str, Any]:
    """For the sidecar."""
    return dataclasses.asdict(node)


def process(variables: Mapping[str, str], mpi: Mapping[str, Any]) -> Process:
    """This process, with what the caller knows of its MPI."""
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return Process(platform.node(), mpi, cores, gpu_count(), variables.get("CUDA_VISIBLE_DEVICES"))
