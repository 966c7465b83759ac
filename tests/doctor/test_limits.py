"""Limits that would end a sweep, each with its cure."""

from __future__ import annotations

import os
import resource
import tempfile
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from collbench.doctor.findings import BAD, FINE, NOTE, Finding
from collbench.doctor.limits import findings
from collbench.host.limits import Limits, limits_of
from collbench.host.memory import Room

MIB = 1 << 20
WIDE = Limits(4, Room(5 << 30, "on this host"), Room(1 << 30, "in /dev/shm"), 1024, "/tmp", True)
MEMORY = Finding("memory", FINE, "5 GiB are free for each rank on this host")


def test_wide_limits_are_not_mentioned() -> None:
    assert findings(WIDE) == [MEMORY]
    assert findings(replace(WIDE, shared=None, files=None)) == [MEMORY]


@pytest.mark.parametrize(
    ("where", "cure"),
    [
        ("in this cgroup", "request more memory (Slurm: --mem, Docker: --memory), or sweep smaller --sizes"),
        ("under ulimit -v", "ulimit -v unlimited"),
        ("under this host's vm.overcommit_memory=2", "start fewer ranks, or sweep smaller --sizes"),
    ],
)
def test_little_memory_is_named_with_its_limit(where: str, cure: str) -> None:
    (found,) = findings(replace(WIDE, memory=Room(100 * MIB, where)))
    words = f"100 MiB are free for each rank {where}; messages of 64 MiB need about 512 MiB"
    assert found == Finding("memory", NOTE, words, cure)


@pytest.mark.parametrize(
    ("change", "what", "grade", "words", "cure"),
    [
        ({"shared": Room(8 * MIB, "in /dev/shm")}, "shared memory", BAD,
         "the ranks need about 64 MiB in /dev/shm, 8 MiB are free", "--shm-size=1g"),
        ({"files": 30}, "open files", BAD, "a rank may open 30, and needs up to 256", "ulimit -n 4096"),
        ({"executable": False}, "temporary files", NOTE, "/tmp is mounted noexec", "TMPDIR"),
        ({"temporary": None}, "temporary files", BAD, "no folder for them can be written", "TMPDIR"),
    ],
)  # fmt: skip
def test_a_narrow_limit_is_reported_with_its_cure(
    change: dict[str, Any], what: str, grade: str, words: str, cure: str
) -> None:
    _, found = findings(replace(WIDE, **change))
    assert (found.what, found.grade) == (what, grade)
    assert words in found.found
    assert cure in found.cure


def test_the_limits_of_this_process_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits_of(2).ranks == 2
    flags = SimpleNamespace(f_flag=os.ST_NOEXEC, f_bavail=1, f_frsize=4096, f_blocks=2)
    monkeypatch.setattr(os, "statvfs", lambda path: flags)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    found = limits_of(2)
    assert (found.shared, found.files, found.executable) == (Room(4096, "in /dev/shm"), None, False)

    def none_usable() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    assert limits_of(2).temporary is None
