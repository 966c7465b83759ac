"""Which cores and network adapters are near a GPU, from sysfs."""

from __future__ import annotations

from pathlib import Path

from collbench.host import procfs
from collbench.host.procfs import ROOT


def near_cores(pci: str, root: Path = ROOT) -> frozenset[int]:
    """The cores in the part of this host that a PCI device hangs on; none where the kernel does not say."""
    folder = _folder(pci, root)
    return cores_of(procfs.text(folder / "local_cpulist")) if _part(folder) is not None else frozenset()


def near_nics(pci: str, root: Path = ROOT) -> tuple[str, ...]:
    """Network adapters (cxi0, mlx5_0) in the same part of this host."""
    part = _part(_folder(pci, root))
    links = [path for kind in ("cxi", "infiniband") for path in sorted((root / "sys/class" / kind).glob("*"))]
    return tuple(link.name for link in links if part is not None and _part(link / "device") == part)


def cores_of(text: str) -> frozenset[int]:
    """The numbers in a list such as ``0-15,64-79``."""
    ends = [[int(end) for end in span.split("-")] for span in text.strip().split(",") if span]
    return frozenset(core for span in ends for core in range(span[0], span[-1] + 1))


def _folder(pci: str, root: Path) -> Path:
    """The folder of a device; NVML writes its domain with eight digits, the kernel with four."""
    domain, _, rest = pci.lower().partition(":")
    return root / "sys/bus/pci/devices" / f"{domain[-4:]}:{rest}"


def _part(folder: Path) -> int | None:
    """The number of the NUMA node of a device; None where the kernel does not know, and writes -1."""
    text = procfs.text(folder / "numa_node")
    return int(text) if text.isdecimal() else None
