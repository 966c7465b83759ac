"""Memory that processes of this host may still allocate, and the limit that determines it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from collbench.host import cgroups, procfs
from collbench.host.procfs import ROOT

SHARED = "dev/shm"
KIB = 1 << 10
# A control group's limit, its usage, and what its names in memory.stat begin with so that they include its children.
_FILES = (("memory.max", "memory.current", ""), ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"))
# Resource limits of one process: as /proc/self/limits and /proc/self/status name them, and as a user knows them.
_OF_PROCESS = (("Max address space", "VmSize", "ulimit -v"), ("Max data size", "VmData", "ulimit -d"))
_STRICT = 2  # vm.overcommit_memory: what is allocated counts, not what is touched


@dataclass(frozen=True)
class Room:
    """Bytes that are free, and where: a phrase such as ``in this cgroup``, after "20 GiB are free"."""

    bytes: int
    where: str


def host_room(ranks: int = 1, root: Path = ROOT) -> Room:
    """Memory that each of ``ranks`` processes like this one may still allocate: the least that the host, its control
    groups and the limits of a process leave. ``sys.maxsize`` bytes where no limit is known."""
    shared = [*_of_host(root), *_of_groups(root)]
    rooms = [*(Room(each.bytes // ranks, each.where) for each in shared), *_of_process(root)]
    least = min(rooms, key=lambda each: each.bytes, default=Room(sys.maxsize, "on this host"))
    return Room(max(0, least.bytes), least.where)


def shared_room(root: Path = ROOT) -> Room | None:
    """Free bytes of /dev/shm, which all ranks of the host share; None where it is missing or has no size."""
    try:
        state = os.statvfs(root / SHARED)
    except OSError:
        return None
    return Room(state.f_bavail * state.f_frsize, f"in /{SHARED}") if state.f_blocks else None


def _of_host(root: Path) -> Iterator[Room]:
    def field(name: str) -> int | None:
        return procfs.number(root / "proc/meminfo", rf"{name}:\s*(\d+) kB$")

    available, limit, committed = map(field, ("MemAvailable", "CommitLimit", "Committed_AS"))
    if available is not None:
        yield Room(available * KIB, "on this host")
    strict = procfs.number(root / "proc/sys/vm/overcommit_memory") == _STRICT
    if strict and limit is not None and committed is not None:
        yield Room((limit - committed) * KIB, "under this host's vm.overcommit_memory=2")


def _of_groups(root: Path) -> Iterator[Room]:
    for folder in cgroups.folders("memory", root):
        for limit, usage, total in _FILES:
            most, used = procfs.number(folder / limit), procfs.number(folder / usage)
            if most is not None and used is not None:
                yield Room(most - used + _file_cache(folder, total), "in this cgroup")


def _file_cache(folder: Path, total: str) -> int:
    """Bytes of a group's file cache, which the kernel reclaims before it refuses memory; tmpfs is not among them."""
    lists = (procfs.number(folder / "memory.stat", rf"{total}{kind}_file (\d+)$") for kind in ("inactive", "active"))
    return sum(size or 0 for size in lists)


def _of_process(root: Path) -> Iterator[Room]:
    for limit, usage, command in _OF_PROCESS:
        most = procfs.number(root / "proc/self/limits", rf"{limit}\s+(\d+)\s")
        used = procfs.number(root / "proc/self/status", rf"{usage}:\s*(\d+) kB$")
        if most is not None and used is not None:
            yield Room(most - used * KIB, f"under {command}")


def show_bytes(size: int) -> str:
    """A rounded number of bytes, in the largest binary unit that it reaches, such as ``23.5 GiB``."""
    for unit, width in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> width:
            return f"{size / (1 << width):.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} B"
