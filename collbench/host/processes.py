"""Processes of this machine, identified so that a reused number is not mistaken for the process that had it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATE, _BEGAN = 0, 19  # by their places after the name in /proc/PID/stat (proc_pid_stat(5))
_DEAD = ("Z", "X")  # it has ended, though its parent may not have asked how


@dataclass(frozen=True)
class Running:
    """A process: its number, and its start in clock ticks since boot."""

    pid: int
    began: int

    def is_alive(self) -> bool:
        """Whether this very process still exists."""
        return began(self.pid) == self.began


def began(pid: int) -> int | None:
    """The start of a process in clock ticks since boot; None if none of this number is running."""
    with suppress(OSError, ValueError, IndexError):
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        fields = after_name.split()
        return None if fields[_STATE] in _DEAD else int(fields[_BEGAN])
    return None


def this_process() -> Running:
    """The process that calls it."""
    return Running(os.getpid(), began(os.getpid()) or 0)
