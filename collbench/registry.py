"""Backends by name: built-in ones, kernel files, and entry points of other distributions.

A spec is the name of a backend with optional parameters, such as ``nvrar-ll:blocks=8:threads=256``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from collbench import backends
from collbench.backends import (
    Backend,
    Configurable,
    ExactOrder,
    OnRequest,
    Opening,
    OtherWays,
    Session,
    Specialised,
    Tunable,
    _kernels,
)
from collbench.backends._guarded import ForeignError, Guarded, blame, foreign, whole
from collbench.backends._specs import labelled, split
from collbench.errors import CannotRunError, UsageError
from collbench.host.deadline import deadline
from collbench.host.gpus import gpu_count
from collbench.kernels.files import Broken, find_kernels
from collbench.kernels.kernel import Kernel
from collbench.kernels.revisions import Revision, kernel_at, own_revision, revision_of_kernel
from collbench.plan.collectives import COLLECTIVES

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from collbench.devices.device import Device
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

ENTRY_POINTS = "collbench.backends"
IMPORT_SECONDS = 60.0  # limit of importing a backend of another distribution
CANNOT_LOAD = "cannot be loaded ({})"


def _installed() -> EntryPoints:
    """Backends that other distributions register; imported late, since importlib.metadata slows --help."""
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)


def _own_names() -> list[str]:
    """Names of the built-in backends."""
    folder = pkgutil.iter_modules(backends.__path__)
    return [name.replace("_", "-") for _, name, _ in folder if not name.startswith("_")]


def names() -> list[str]:
    """Names of all backends."""
    return sorted({*_own_names(), *find_kernels(), *(point.name for point in _installed())})


def is_of_kernels(spec: str) -> bool:
    """Whether a backend is a kernel or selects among kernels."""
    name = split(spec).name
    return name == "nvrar" or (name in find_kernels() and name not in _own_names())


def kernel_of(spec: str) -> Kernel | None:
    """The kernel of a kernel backend; None for other backends."""
    backend = find(spec)
    return backend.kernel if isinstance(backend, _kernels.KernelBackend) else None


def own_kernels() -> list[str]:
    """Names of the kernels that come with collbench."""
    return _kernels.own_names()


def hidden() -> dict[str, str]:
    """Kernels shadowed by a built-in backend of the same name, and why each cannot be used."""
    found = find_kernels()
    return {
        name: f"{found[name].path}: {name!r} is the name of a built-in backend; rename the file"
        for name in found.keys() & set(_own_names())
    }


@dataclass
class Unusable:
    """Stands for a backend that cannot be loaded; the others stay usable."""

    reason: str
    DEVICE: str = "cpu"
    SUMMARY: str = "cannot be loaded"

    def missing(self) -> str | None:
        """Why the backend cannot be loaded."""
        return self.reason

    def refuses(self, problem: Problem) -> str | None:
        """Why the backend cannot be loaded, for any problem."""
        return self.reason

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """None: the order of its additions is unknown."""
        return None

    def wire_bytes(self, problem: Problem) -> float | None:
        """None: the bytes that it sends are unknown."""
        return None

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """Raises CannotRunError."""
        raise CannotRunError(self.reason)


def find(spec: str) -> Backend:
    """The backend that ``spec`` names, with its parameters; built-in backends take precedence over installed ones.

    Returns ``Unusable`` for a backend that cannot be loaded or configured; those of other distributions are
    ``Guarded``. Raises UsageError for parameters that are not valid or that the backend does not take.
    """
    parts = split(spec)
    try:
        backend = _at_revision(spec) if parts.label else _load(parts.name)
        if parts.parameters and not isinstance(backend, Unusable):
            return _configured(parts.name, backend, parts.parameters)
        return backend
    except ForeignError as error:
        return Unusable(str(error))


def _load(name: str) -> Backend:
    """The backend without parameters; raises ForeignError where it cannot be loaded."""
    if name in _own_names():
        return whole(_own(name))
    file = find_kernels().get(name)
    if isinstance(file, Broken):
        return Unusable(file.reason, DEVICE=_kernels.device())
    if file:
        return _kernels.find(name)
    found = _plugin(name)
    return found if isinstance(found, Unusable) else Guarded(name, found)


def _at_revision(spec: str) -> Backend:
    """The kernel, or ``nvrar``, as of the git revision that the label of ``spec`` names, without parameters. Raises
    UsageError for other backends."""
    parts = split(spec)
    if not is_of_kernels(spec):
        raise UsageError(f"backend {parts.name} has no form {parts.label!r}; omit @{parts.label}.")
    if parts.name == "nvrar":
        from collbench.backends import nvrar

        reason = nvrar.broken(parts.label)
        return Unusable(reason, DEVICE=_kernels.device()) if reason else nvrar.Nvrar(parts.label)
    file = kernel_at(parts.name, parts.label)
    if isinstance(file, Broken):
        return Unusable(file.reason, DEVICE=_kernels.device())
    return _kernels.KernelBackend(Kernel(file))


def canonical(spec: str) -> str:
    """``spec``, with a git revision of kernels as the commit that it names now: ``nvrar@HEAD~3:blocks=8`` becomes
    ``nvrar@5437c21:blocks=8``, which means the same later and elsewhere. Raises UsageError where the kernels of that
    revision cannot be used here."""
    parts = split(spec)
    if not (parts.label and is_of_kernels(spec)):
        return spec
    whole, colon, parameters = spec.partition(":")
    return at_revision(f"{parts.name}{colon}{parameters}", whole.partition("@")[2])


def at_revision(spec: str, revision: str) -> str:
    """The canonical spec of ``spec``, a kernel or ``nvrar`` with or without parameters, as of a git revision: a branch,
    a tag, a hash, HEAD~3. Raises UsageError where its kernels cannot be used here."""
    parts = split(spec)
    if parts.label:
        raise UsageError(f"backend {spec!r} names a form of its own; omit @{parts.label}, or the revision {revision}.")
    if not is_of_kernels(spec):
        raise UsageError(f"backend {parts.name} has no git revisions; only nvrar and kernel files have.")
    found = labelled(spec, _revision(parts.name, revision).label)
    backend = find(found)
    if isinstance(backend, Unusable):
        raise UsageError(backend.reason)
    return found


def commits(specs: Iterable[str]) -> dict[str, str]:
    """The full hash of the commit of each ``NAME@LABEL`` in ``specs`` that names kernels of a git revision."""
    found = {}
    for spec in specs:
        parts = split(spec)
        if parts.label and is_of_kernels(spec):
            with suppress(UsageError):  # its rows say why
                found[f"{parts.name}@{parts.label}"] = _revision(parts.name, parts.label).commit
    return found


def form_in(spec: str, known: Collection[str]) -> str:
    """The one of ``known`` backends of rows that is ``spec``, which may name a git revision otherwise than they do;
    where none is, ``spec`` with the commit. Raises UsageError for a revision that git does not know."""
    if spec in known:
        return spec
    parts = split(spec)
    if not (parts.label and is_of_kernels(spec)):
        return spec
    revision, (_, colon, parameters) = _revision(parts.name, parts.label), spec.partition(":")
    for name in sorted(known):
        form, _, its_parameters = name.partition(":")
        its_name, _, label = form.partition("@")
        alike = (its_name, its_parameters) == (parts.name, parameters)
        if alike and label and revision.commit.startswith(label):
            return name
    return f"{parts.name}@{revision.label}{colon}{parameters}"


def _revision(name: str, revision: str) -> Revision:
    """The commit that ``revision`` names for the kernel ``name``, or for ``nvrar``. Raises UsageError."""
    return own_revision(revision) if name == "nvrar" else revision_of_kernel(name, revision)


def _own(name: str) -> object:
    try:
        return importlib.import_module(f"{backends.__name__}.{name.replace('-', '_')}")
    except Exception as error:  # a library that it imports may raise anything
        return Unusable(blame(CANNOT_LOAD, error))


@cache
def _plugin(name: str) -> object:
    """What another distribution registers as ``name``, imported once; ``Unusable`` where that fails."""
    try:
        with foreign(CANNOT_LOAD), deadline(IMPORT_SECONDS):
            return next(point for point in _installed() if point.name == name).load()
    except ForeignError as error:
        return Unusable(str(error))


def _configured(name: str, backend: Backend, parameters: dict[str, str]) -> Backend:
    if not isinstance(backend, Configurable):
        raise UsageError(f"backend {name} takes no parameters; omit {', '.join(parameters)}.")
    return backend.configured(parameters)


def candidates(backend: Backend, problem: Problem) -> tuple[str, ...]:
    """Specs to try when tuning for ``problem``, without repeats, the default first; () if the backend has none."""
    return tuple(dict.fromkeys(backend.candidates(problem))) if isinstance(backend, Tunable) else ()


def ways(backend: Backend) -> Mapping[str, Opening]:
    """Alternative ways to open the backend, by name; {} where there are none."""
    return backend.WAYS if isinstance(backend, OtherWays) else {}


def refusals() -> Callable[[Problem, str], str | None]:
    """A function that returns why a backend cannot run a problem on this machine, or None.

    It finds each backend once, and asks it once what is missing: a plan may have tens of thousands of cases.
    """
    found = cache(find)
    missing = cache(lambda name: found(name).missing())
    return lambda problem, name: missing(name) or found(name).refuses(problem)


def default_backends(collectives: Iterable[str] = ("all_reduce",)) -> tuple[str, ...]:
    """All backends that can run on the GPUs of this machine; without GPUs, all that can run on CPU ranks. Those on
    request are in neither.

    On GPUs, built-in kernels run as ``nvrar``, which selects among them. On CPU ranks each that implements one of
    ``collectives`` runs as a separate backend and is always listed, so that its row can report a missing compiler.
    """
    wanted = set(collectives)
    found = {name: find(name) for name in names() if _implements(name, wanted) and not is_on_request(find(name))}
    here = [name for name, backend in found.items() if backend.missing() is None]
    ours = [name for name in own_kernels() if name in found]
    on_gpus = tuple(name for name in here if found[name].DEVICE == "gpu" and name not in ours)
    listed = ours if _kernels.device() == "cpu" else []
    return on_gpus or tuple(name for name in found if name != "nvrar" and (name in here or name in listed))


def is_on_request(backend: Backend) -> bool:
    """Whether the backend runs only where it is named."""
    return isinstance(backend, OnRequest) and backend.ON_REQUEST


def _implements(name: str, collectives: set[str]) -> bool:
    """Whether a kernel of ours, or a specialised backend, implements one of ``collectives``; true of all others."""
    if name in _kernels.own_names():
        file = find_kernels()[name]
        return isinstance(file, Broken) or file.collective in collectives
    backend = find(name)
    return not isinstance(backend, Specialised) or not collectives.isdisjoint(backend.ONLY)


def default_dtypes(specs: Iterable[str], collectives: Iterable[str] = ()) -> tuple[str, ...]:
    """The default element type for these backends and collectives: bfloat16 on GPUs, and where rows are normalised,
    which is not defined for wider types; else float32."""
    if any(COLLECTIVES[name].normalises for name in collectives):
        return ("bfloat16",)
    on_gpus = any(find(name).DEVICE == "gpu" for name in specs)
    return ("bfloat16",) if on_gpus and gpu_count() else ("float32",)
