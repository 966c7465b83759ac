"""Limits of this process that a launch of several ranks may meet; without MPI and CUDA."""

from __future__ import annotations

import os
import resource
import tempfile
from dataclasses import dataclass

from collbench.host.memory import Room, host_room, shared_room


@dataclass(frozen=True)
class Limits:
    """What each of ``ranks`` ranks on this host may use: memory, and open files (None: unlimited). ``shared`` is that
    of all together in /dev/shm, None without a limit. ``temporary`` is the folder of temporary files, None where none
    is usable; ``executable``: whether libraries in it can be loaded."""

    ranks: int
    memory: Room
    shared: Room | None
    files: int | None
    temporary: str | None
    executable: bool


def limits_of(ranks: int) -> Limits:
    """The limits of this process, for ``ranks`` ranks on its host."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = None if soft == resource.RLIM_INFINITY else soft
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        return Limits(ranks, host_room(ranks), shared_room(), files, None, False)
    executable = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return Limits(ranks, host_room(ranks), shared_room(), files, folder, executable)
