"""The libraries and algorithms that are timed: one file each, and a file's presence is its registration.

A backend is anything with the members of ``Backend``: a module in this folder (``mpi_nvrar.py`` is ``mpi-nvrar``; a
leading underscore hides a file), or a module or object that another distribution names under the entry point
``collbench.backends``.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, cast

from collbench.errors import CannotRunError

if TYPE_CHECKING:
    from collbench.device import Array, Call, Device
    from collbench.patterns import Emulator
    from collbench.plan import Workload
    from collbench.world import World


class Session(Protocol):
    """A backend that is open on one world. ``arena`` is the memory that its calls work on."""

    arena: Array

    def prepare(self, workload: Workload, send: Array, recv: Array) -> Call:
        """A call that enqueues the workload from ``send`` to ``recv`` and returns without waiting for the device.

        Collective over the members. Raises ``CannotRunError`` where the case must be skipped on this machine, and
        any ``RuntimeError`` where the library fails.
        """

    def release(self) -> None:
        """Free what the calls prepared since the last release hold; collective over the members."""

    def close(self) -> None:
        """Release what belongs to this world; collective over the launch."""


class Backend(Protocol):
    """What a backend file defines. It only enqueues work: it never synchronises a device and never sees a clock."""

    DEVICE: str  # "cpu" or "gpu": where its buffers are
    SUMMARY: str  # what it times, in a line

    def missing(self) -> str | None:
        """What this machine lacks to run it and how to get it, or None. Quick, and imports nothing heavy."""

    def refuses(self, workload: Workload) -> str | None:
        """Why it cannot run ``workload`` anywhere, or None. Pure."""

    def emulate(self, workload: Workload) -> Emulator | None:
        """Its order of additions and roundings, from inputs of shape (ranks, n) to (n,), where it documents one."""

    def wire_bytes(self, workload: Workload) -> float | None:
        """Bytes that one rank sends for one call, where it knows."""

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """Open it on ``world``; collective over the launch: ranks that sit out call it too."""


ENTRY_POINTS = "collbench.backends"


def own_names() -> list[str]:
    """Names of the backends in this folder."""
    return [name.replace("_", "-") for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_")]


def names() -> list[str]:
    """Names of all backends, ours and installed ones."""
    return sorted({*own_names(), *(point.name for point in entry_points(group=ENTRY_POINTS))})


MEMBERS = ("DEVICE", "SUMMARY", "missing", "refuses", "emulate", "wire_bytes", "open")


@dataclass
class Unusable:
    """Stands for a backend that cannot be loaded, so that it keeps nobody from using the others."""

    reason: str
    DEVICE: str = "cpu"
    SUMMARY: str = "cannot be loaded"

    def missing(self) -> str | None:
        """What is wrong with its file."""
        return self.reason

    def refuses(self, workload: Workload) -> str | None:
        """Everything."""
        return self.reason

    def emulate(self, workload: Workload) -> Emulator | None:
        """Nothing."""
        return None

    def wire_bytes(self, workload: Workload) -> float | None:
        """Nothing."""
        return None

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """Never: it is skipped before."""
        raise CannotRunError(self.reason)


def find(name: str) -> Backend:
    """The backend called ``name``; ours win over installed ones. One that does not load comes as ``Unusable``."""
    try:
        found = _load(name)
    except Exception as error:  # a file of somebody else's: anything may be wrong with it
        return Unusable(f"it does not load ({type(error).__name__}: {error}); mend or remove it")
    lacks = [member for member in MEMBERS if not hasattr(found, member)]
    if lacks:
        return Unusable(f"it defines no {lacks[0]}; a backend has {', '.join(MEMBERS)}")
    return cast(Backend, found)


def _load(name: str) -> object:
    if name in own_names():
        return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    (point, *_) = entry_points(group=ENTRY_POINTS, name=name)
    return point.load()
