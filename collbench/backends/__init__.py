"""The libraries and algorithms that are timed: one file each, and a file's presence is its registration.

A backend is anything with the members of ``Backend``: a module in this folder (``mpi_nvrar.py`` is ``mpi-nvrar``; a
leading underscore hides a file), a kernel file in ``kernels/``, or a module or object that another distribution names
under the entry point ``collbench.backends``. Users name one by a spec: its name, and parameters where it takes some, as
in ``nvrar-ll:blocks=8:threads=256``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from collbench.errors import CannotRunError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from collbench.devices.device import Array, Call, Device
    from collbench.patterns import Emulator
    from collbench.plan.problem import Workload
    from collbench.ranks.world import World


class Session(Protocol):
    """A backend that is open on one world.

    One whose library finds its way to other ranks may define ``transport() -> str``: which way it took from this rank,
    in the words of ``transports``; asked on members, after a call.
    """

    @property
    def arena(self) -> Array:
        """The memory that its calls work on."""

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
    """What a backend file defines. It only enqueues work: it never synchronises a device and never sees a clock.

    It may define three more, which the functions of this module ask for:

    - ``configured(parameters: dict[str, str]) -> Backend``: itself with these parameters of a spec; raises UsageError
      with one sentence for those that it does not have or whose values are bad.
    - ``candidates(workload: Workload) -> tuple[str, ...]``: specs worth trying when tuning for ``workload``, its own
      or other backends'; the first is what it takes where nothing was tuned. Pure.
    - ``WAYS: Mapping[str, Callable[[World, Device, int], Session]]``: other ways to ``open`` it, by name, that
      ``collbench verify`` goes through too.
    """

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


def _installed() -> EntryPoints:
    """What other distributions name; --help is quick without the module that finds it."""
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)


def own_names() -> list[str]:
    """Names of the backends in this folder."""
    return [name.replace("_", "-") for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_")]


def names() -> list[str]:
    """Names of all backends: ours, those of kernel files, and installed ones."""
    from collbench.backends import _kernels

    return sorted({*own_names(), *_kernels.names(), *(point.name for point in _installed())})


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


def split(spec: str) -> tuple[str, dict[str, str]]:
    """Name and parameters of ``NAME`` or ``NAME:KEY=VALUE:...``; UsageError where it does not parse."""
    name, *words = spec.split(":")
    parameters: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not (key and sign and value):
            raise UsageError(f"{word!r} in backend {spec!r} is no parameter; write {name}:KEY=VALUE:KEY=VALUE.")
        if key in parameters:
            raise UsageError(f"backend {spec!r} gives {key} twice; give it once.")
        parameters[key] = value
    return name, parameters


def find(spec: str) -> Backend:
    """The backend that ``spec`` names, with its parameters; ours win over installed ones.

    One that does not load comes as ``Unusable``. Raises UsageError for parameters that do not parse or that the
    backend does not take.
    """
    name, parameters = split(spec)
    try:
        found = _load(name)
    except Exception as error:  # a file of somebody else's: anything may be wrong with it
        return Unusable(f"it does not load ({type(error).__name__}: {error}); mend or remove it")
    backend = _whole(found)
    return _configured(name, backend, parameters) if parameters and not isinstance(backend, Unusable) else backend


def _load(name: str) -> object:
    from collbench.backends import _kernels

    if name in own_names():
        return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    if name in _kernels.names():
        return _kernels.find(name)
    point = next(each for each in _installed() if each.name == name)
    return point.load()


def _whole(found: object) -> Backend:
    lacks = [member for member in MEMBERS if not hasattr(found, member)]
    if lacks:
        return Unusable(f"it defines no {lacks[0]}; a backend has {', '.join(MEMBERS)}")
    return cast(Backend, found)


def _configured(name: str, backend: Backend, parameters: dict[str, str]) -> Backend:
    configure: Callable[[dict[str, str]], object] | None = getattr(backend, "configured", None)
    if configure is None:
        raise UsageError(f"backend {name} takes no parameters; leave {', '.join(parameters)} away.")
    try:
        return _whole(configure(parameters))
    except UsageError:
        raise
    except Exception as error:
        return Unusable(f"it does not take its parameters ({type(error).__name__}: {error}); mend or remove it")


def candidates(backend: Backend, workload: Workload) -> tuple[str, ...]:
    """Specs worth trying when tuning for ``workload``, each once, the default first; none where it has no say."""
    propose: Callable[[Workload], tuple[str, ...]] | None = getattr(backend, "candidates", None)
    return tuple(dict.fromkeys(propose(workload))) if propose else ()


Opening = Callable[["World", "Device", int], Session]


def ways(backend: Backend) -> Mapping[str, Opening]:
    """Other ways to open the backend, by name; none where it has one way only."""
    others: Mapping[str, Opening] = getattr(backend, "WAYS", {})
    return others
