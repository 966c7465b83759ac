"""How much memory is left, read from made-up files of /proc and /sys/fs/cgroup."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from planting import plant

from collbench.host.memory import Room, host_room, shared_room, show_bytes

GIB = 1 << 30
V2 = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
V1 = """\
35 31 0:32 {top} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"""
LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max data size             {data}            unlimited            bytes
Max address space         {space}           unlimited            bytes
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host of which 20 GiB are available."""
    sizes = {"MemTotal": 99, "MemAvailable": 20, "CommitLimit": 9, "Committed_AS": 1}
    files = {
        "proc/meminfo": "\n".join(f"{name}:   {gib << 20} kB" for name, gib in sizes.items()),
        "proc/self/status": f"VmPeak:\t 7 kB\nVmSize:\t {2 << 20} kB\nVmData:\t {1 << 20} kB",
        "proc/self/limits": LIMITS.format(data="unlimited", space="unlimited"),
    }
    return plant(tmp_path, files)


def group(root: Path, path: str, limit: str, used: int, cache: int = 0) -> None:
    """A group of v2 with its memory limit."""
    stat = f"anon 5\nfile {cache}\ninactive_file {cache // 2}\nactive_file {cache - cache // 2}"
    files = {"memory.max": limit, "memory.current": str(used), "memory.stat": stat}
    plant(root / "sys/fs/cgroup" / path, files)


def test_without_limits_it_is_what_the_host_has_available(root: Path) -> None:
    assert host_room(root=root) == Room(20 * GIB, "on this host")
    assert host_room(4, root) == Room(5 * GIB, "on this host"), "a share of each rank"


def test_strict_overcommit_counts_what_is_allocated(root: Path) -> None:
    plant(root, {"proc/sys/vm/overcommit_memory": "2"})
    assert host_room(root=root) == Room(8 * GIB, "under this host's vm.overcommit_memory=2")


def test_the_narrowest_group_of_the_chain_counts_and_file_cache_is_free(root: Path) -> None:
    plant(root, {"proc/self/cgroup": "0::/job/step/task", "proc/self/mountinfo": V2})
    group(root, "job/step/task", "max", GIB)
    group(root, "job/step", str(9 * GIB), GIB)
    assert host_room(root=root) == Room(8 * GIB, "in this cgroup")
    group(root, "job", str(8 * GIB), 7 * GIB, cache=3 * GIB)
    assert host_room(root=root) == Room(4 * GIB, "in this cgroup")
    group(root, "job", str(GIB), 2 * GIB)
    assert host_room(root=root) == Room(0, "in this cgroup")


@pytest.mark.parametrize("top", ["/", "/docker/ab\\040c", "/elsewhere"])
def test_a_group_of_v1_is_found_below_the_mount_of_its_container(root: Path, top: str) -> None:
    path = "/docker/ab c"
    folder = "sys/fs/cgroup/memory" + (path if top == "/" else "")
    files = {
        "proc/self/cgroup": f"9:cpu,cpuacct:/other\n4:memory:{path}\n0::/",
        "proc/self/mountinfo": V1.format(top=top),
        f"{folder}/memory.limit_in_bytes": str(3 * GIB),
        f"{folder}/memory.usage_in_bytes": str(2 * GIB),
        f"{folder}/memory.stat": f"inactive_file 7\ntotal_inactive_file {GIB}",
    }
    plant(root, files)
    assert host_room(root=root) == Room(2 * GIB, "in this cgroup")


def test_limits_of_a_process_are_not_shared(root: Path) -> None:
    plant(root, {"proc/self/limits": LIMITS.format(data=4 * GIB, space="unlimited")})
    assert host_room(2, root) == Room(3 * GIB, "under ulimit -d")
    plant(root, {"proc/self/limits": LIMITS.format(data=4 * GIB, space=3 * GIB)})
    assert host_room(2, root) == Room(GIB, "under ulimit -v")


def test_a_host_that_reports_nothing_has_no_known_limit(tmp_path: Path) -> None:
    assert host_room(root=tmp_path) == Room(sys.maxsize, "on this host")
    assert shared_room(tmp_path) is None


def test_this_process_has_room() -> None:
    assert 0 < host_room().bytes < sys.maxsize


def test_shared_memory_is_what_its_file_system_has_left(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = SimpleNamespace(f_bavail=16, f_frsize=4096, f_blocks=16384)
    monkeypatch.setattr(os, "statvfs", lambda path: state if path == root / "dev/shm" else None)
    assert shared_room(root) == Room(65536, "in /dev/shm")
    state.f_blocks = 0  # mounted without a size
    assert shared_room(root) is None


@pytest.mark.parametrize(
    ("size", "words"),
    [(24684092 << 10, "23.5 GiB"), (32 << 30, "32 GiB"), (12 << 20, "12 MiB"), (1500, "1.5 KiB"), (0, "0 B")],
)
def test_bytes_are_shown_rounded(size: int, words: str) -> None:
    assert show_bytes(size) == words
