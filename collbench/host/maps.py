"""Files that this process has mapped, such as the libraries that it has loaded."""

from __future__ import annotations

import os
from pathlib import Path

from collbench.host import procfs

MAPS = Path("/proc/self/maps")
_DELETED = " (deleted)"


def mapped_files(maps: Path = MAPS) -> tuple[str, ...]:
    """Paths of the files in ``maps``, sorted; () where it cannot be read.

    A line has five fields and the path, which may contain any character (proc_pid_maps(5)).
    """
    lines = [line.split(maxsplit=5) for line in procfs.text(maps).split("\n")]
    return tuple(sorted({_path(line[5]) for line in lines if len(line) == 6 and line[5].startswith("/")}))


def _path(field: str) -> str:
    """The path that the kernel writes as ``field``: with newlines in octal, and with a mark if the file is deleted."""
    path = field.replace(r"\012", "\n")
    return path.removesuffix(_DELETED) if not os.path.exists(path) else path
