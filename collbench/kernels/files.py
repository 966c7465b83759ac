"""Finds kernel files.

``kernels/nvrar_ll.cu`` is the kernel and backend ``nvrar-ll``; a leading underscore or dot hides a file. The variable
COLLBENCH_KERNELS names folders of further kernels. A name that two files share is ``Broken``, since a row could not say
which of them was timed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from collbench.errors import UsageError
from collbench.host.shipped import shipped
from collbench.kernels.header import KernelFile, kernel_name, read

VARIABLE = "COLLBENCH_KERNELS"


@dataclass(frozen=True)
class Broken:
    """A kernel that cannot be used, and why; the others remain usable."""

    name: str
    path: Path
    reason: str


def own_folder() -> Path:
    """The folder of the kernels that come with collbench."""
    return shipped("kernels")


def folders() -> tuple[Path, ...]:
    """Our folder, then those of COLLBENCH_KERNELS; raises UsageError where one of these is not a directory."""
    named = [Path(text).expanduser() for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    for folder in named:
        if not folder.is_dir():
            raise UsageError(f"{VARIABLE} names {folder}, which is not a directory; create it or remove it from there.")
    return (own_folder(), *named)


def find_kernels() -> dict[str, KernelFile | Broken]:
    """All kernels by name, sorted."""
    claims: dict[str, list[Path]] = {}
    for folder in dict.fromkeys(each.resolve() for each in folders()):
        for path in folder.glob("[!._]*.cu"):
            claims.setdefault(kernel_name(path), []).append(path)
    return {name: _load(name, paths) for name, paths in sorted(claims.items())}


def _load(name: str, paths: list[Path]) -> KernelFile | Broken:
    if len(paths) > 1:
        files = " and ".join(map(str, paths))
        return Broken(name, paths[-1], f"{files} both define the kernel {name!r}; rename one of them.")
    return _load_one(name, paths[0], paths[0].stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _load_one(name: str, path: Path, changed: int) -> KernelFile | Broken:
    """The kernel in one file, cached by its modification time ``changed``: every row looks it up."""
    try:
        return read(path)
    except UsageError as error:
        return Broken(name, path, str(error))
