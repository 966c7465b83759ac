"""The control groups (v1 and v2) that limit this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from collbench.host import procfs
from collbench.host.procfs import ROOT

UNIFIED = ""  # the name of the hierarchy of v2


def folders(controller: str, root: Path = ROOT) -> tuple[Path, ...]:
    """Folders of this process's group and of its ancestors, innermost first, in every hierarchy that may hold
    ``controller`` (``memory``, ``cpu``). Inside a container the ancestors end at the container's group."""
    found: dict[Path, None] = {}
    paths = _paths(controller, root)
    for hierarchy, top, mount in _mounts(controller, root):
        if hierarchy in paths:
            group = mount / _below(paths[hierarchy], top)
            found |= dict.fromkeys([group, *(folder for folder in group.parents if folder.is_relative_to(mount))])
    return tuple(found)


def _paths(controller: str, root: Path) -> dict[str, str]:
    """The path of this process's group by hierarchy; a line of the file is ``4:cpu,cpuacct:/path``."""
    lines = [line.split(":", 2) for line in procfs.text(root / "proc/self/cgroup").splitlines()]
    named = {names: path for _, names, path in lines}
    return {
        controller if names else UNIFIED: path
        for names, path in named.items()
        if names == UNIFIED or controller in names.split(",")
    }


def _mounts(controller: str, root: Path) -> Iterator[tuple[str, str, Path]]:
    """(hierarchy, group at its top, folder) of every mounted hierarchy (proc_pid_mountinfo(5))."""
    for line in procfs.text(root / "proc/self/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        top, point = map(procfs.unescape, place.split()[3:5])
        name, _, options = kind.split(maxsplit=2)
        folder = root / point.lstrip("/")
        if name == "cgroup2":
            yield UNIFIED, top, folder
        elif name == "cgroup" and controller in options.split(","):
            yield controller, top, folder


def _below(path: str, top: str) -> PurePosixPath:
    """A group's path below the group that is mounted; that group itself where it is not among its ancestors."""
    group = PurePosixPath(path)
    return group.relative_to(top) if group.is_relative_to(top) else PurePosixPath()
