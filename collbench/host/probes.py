"""Facts of a host and a process before a measurement; a failed probe yields no value, and none loads MPI or CUDA."""

from __future__ import annotations

import dataclasses
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collbench.host import procfs
from collbench.host.gpus import gpu_count
from collbench.host.maps import MAPS, mapped_files
from collbench.host.procfs import ROOT
from collbench.host.settings import seen

SYS = Path("/sys/class")
# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h) that lower the clocks under load.
THROTTLES = {
    0x08: "hardware slowdown", 0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown",
    0x80: "power brake", 0x04: "software power cap",
}  # fmt: skip
# What an MPI loads for its network, and Cray MPICH for the memory of NVIDIA's GPUs.
LIBRARIES = ("libfabric.so", "libmpi_gtl_cuda.so")
# What is loaded to use a fabric, by network: what it takes, then what makes it faster. An image may have a libfabric of
# its own that loads, but without the library of Slingshot's adapter, and then knows TCP alone.
FABRIC_LIBRARIES = {
    "slingshot": (("libfabric.so.1", "libcxi.so.1"), ("libgdrapi.so.2",)),
    "infiniband": (("libibverbs.so.1", "libmlx5.so.1"), ("libgdrapi.so.2",)),
}
_CONTAINERS = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "SHIFTER_RUNTIME")
_CONTAINER_FILES = (".dockerenv", "run/.containerenv")


@dataclass(frozen=True)
class Nic:
    """A port of a network adapter, with values from sysfs: ``rate`` such as ``400 Gb/sec (4X NDR)``."""

    name: str
    link: str
    rate: str
    state: str


@dataclass(frozen=True)
class GpuState:
    """A GPU of the host, visible to this process or not; current and maximum clocks in MHz, None where NVML
    does not report them."""

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
    """Whether this process can use a fabric of this host: whether it sees its device files and can load its library."""

    name: str
    devices: bool
    soname: str
    loads: bool


@dataclass(frozen=True)
class Node:
    """A host. ``locked_bytes`` is how much memory a process may lock, None if unlimited; ``container`` identifies the
    container of this process, if any; ``rendezvous_get`` is the property of Slingshot's driver."""

    host: str
    cores: int
    gpus: tuple[GpuState, ...]
    nics: tuple[Nic, ...]
    interfaces: tuple[str, ...]
    locked_bytes: int | None
    container: str | None
    rendezvous_get: bool | None = None


Host = tuple[Node, tuple[Reach, ...]]


@dataclass(frozen=True)
class Process:
    """A rank: its host, the result of ``world.mpi_facts``, the cores it may run on, and the GPUs it may use;
    ``machine`` is the same on hosts that share a kernel. ``settings``: its variables of communication libraries;
    ``loaded``: which of LIBRARIES it has loaded."""

    host: str
    mpi: Mapping[str, Any]
    cores: tuple[int, ...]
    gpus: int
    visible: str | None
    machine: str
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    loaded: frozenset[str] = frozenset()


def nics(sys_class: Path = SYS) -> tuple[Nic, ...]:
    """Ports of InfiniBand and RoCE adapters, and Slingshot interfaces."""
    found = []
    for port in sorted(sys_class.glob("infiniband/*/ports/*")):
        name = f"{port.parents[1].name}:{port.name}"
        state = procfs.text(port / "state").split(":")[-1].strip()
        found.append(Nic(name, procfs.text(port / "link_layer"), procfs.text(port / "rate"), state))
    for link in sorted(sys_class.glob("net/hsn*")):
        speed = procfs.text(link / "speed")
        rate = f"{int(speed) // 1000} Gb/sec" if speed.isdigit() else ""
        found.append(Nic(link.name, "Slingshot", rate, procfs.text(link / "operstate")))
    return tuple(found)


def interfaces(sys_class: Path = SYS) -> tuple[str, ...]:
    """Names of the network interfaces."""
    return tuple(sorted(path.name for path in sys_class.glob("net/*")))


def _loads(library: str) -> bool:
    """Whether a shared library can be loaded; tried in a child process, since loading has side effects."""
    program = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    with suppress(OSError, subprocess.SubprocessError):
        run = subprocess.run(
            [sys.executable, "-P", "-c", program, library], capture_output=True, timeout=10, check=False
        )
        return run.returncode == 0
    return False


def _load_in_turn(libraries: Sequence[str]) -> dict[str, bool]:
    """Whether each of these loads after those before it, which may bring it along from a folder of their own."""
    program = (
        "import ctypes, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: ctypes.CDLL(name)\n"
        "    except OSError: continue\n"
        "    print(name, flush=True)"
    )
    found: list[str] = []
    if libraries:
        with suppress(OSError, subprocess.SubprocessError):
            command = [sys.executable, "-P", "-c", program, *libraries]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
            found = ran.stdout.splitlines()
    return {name: name in found for name in libraries}


def reaches(sys_class: Path = SYS, root: Path = ROOT) -> tuple[Reach, ...]:
    """Whether this process can use each fabric of this host. Starts processes: call it before MPI_Init."""
    kinds = (
        ("InfiniBand", "infiniband", "dev/infiniband/uverbs*", "libibverbs.so.1"),
        ("Slingshot", "cxi", "dev/cxi*", "libfabric.so.1"),
    )
    return tuple(
        Reach(name, any(root.glob(devices)), library, _loads(library))
        for name, folder, devices, library in kinds
        if any(sys_class.glob(f"{folder}/*"))
    )


def fabric_libraries(network: str) -> dict[str, bool]:
    """Whether each library for a network (as in ``fabric.network``) loads in this process; {} for one that has no
    libraries of its own. Starts processes: call it before MPI_Init."""
    needed, faster = FABRIC_LIBRARIES.get(network, ((), ()))
    return _load_in_turn((*needed, *faster))


def container(variables: Mapping[str, str], root: Path = ROOT) -> str | None:
    """The variable or file by which a container runtime marks this process; None outside a container."""
    by_variable = next((name for name in _CONTAINERS if variables.get(name)), None)
    return by_variable or next((f"/{name}" for name in _CONTAINER_FILES if (root / name).exists()), None)


def rendezvous_get(sys_class: Path = SYS) -> bool | None:
    """Whether a Slingshot adapter of this host gets messages by rendezvous in hardware, which Slurm's and PBS's option
    disable_rdzv_get switches off for a job; None without such an adapter."""
    found = [procfs.text(path) for path in sorted(sys_class.glob("cxi/*/device/properties/rdzv_get_en"))]
    return any(text != "0" for text in found) if found else None


def pbs_nodes(variables: Mapping[str, str]) -> int | None:
    """Number of nodes of the PBS job that this process belongs to, from its list, which has a line per process; None
    outside PBS, and on nodes that do not have the list."""
    try:
        return len(set(Path(variables["PBS_NODEFILE"]).read_text(encoding="utf-8").split()))
    except (KeyError, OSError):
        return None


def locked_bytes() -> int | None:
    """Memory that this process may lock, in bytes; None if unlimited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft


def gpus() -> tuple[GpuState, ...]:
    """The host's GPUs as NVML reports them; () without NVML."""
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

    def clock(query: Callable[[Any, int], int], kind: int) -> int | None:
        with suppress(nvml.NVMLError):
            return query(handle, kind)
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
    """Why the clocks of a GPU are lowered now; None if they are not, or NVML does not report it."""
    with suppress(nvml.NVMLError):
        reasons = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
        return next((text for bit, text in THROTTLES.items() if reasons & bit), None)
    return None


def node(variables: Mapping[str, str]) -> Node:
    """The host of this process; ``variables`` is its environment."""
    return Node(
        host=platform.node(),
        cores=os.cpu_count() or 1,
        gpus=gpus(),
        nics=nics(),
        interfaces=interfaces(),
        locked_bytes=locked_bytes(),
        container=container(variables),
        rendezvous_get=rendezvous_get(),
    )


def plain(node: Node) -> dict[str, Any]:
    """The node as a dictionary, for the sidecar."""
    return dataclasses.asdict(node)


def process(variables: Mapping[str, str], mpi: Mapping[str, Any]) -> Process:
    """This process; ``mpi`` is the result of ``world.mpi_facts``."""
    cores = tuple(sorted(os.sched_getaffinity(0)))
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    return Process(platform.node(), mpi, cores, gpu_count(), visible, machine(), seen(variables), loaded())


def loaded(maps: Path = MAPS) -> frozenset[str]:
    """Which of LIBRARIES this process has loaded."""
    files = [Path(path).name for path in mapped_files(maps)]
    return frozenset(name for name in LIBRARIES if any(file.startswith(name) for file in files))


def machine(root: Path = ROOT) -> str:
    """What identifies this machine: the kernel's number of its boot, which names of hosts in namespaces and
    containers do not change; the name of the host where it cannot be read."""
    return procfs.text(root / "proc/sys/kernel/random/boot_id") or platform.node()
