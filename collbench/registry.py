"""Backends by name: ours, those of kernel files, and those that other distributions install.

Users name one by a spec: its name, and parameters where it takes some, as in ``nvrar-ll:blocks=8:threads=256``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from collbench import backends
from collbench.backends import Backend, Configurable, ExactOrder, Opening, OtherWays, Session, Tunable, _kernels
from collbench.backends._specs import split
from collbench.errors import CannotRunError, UsageError
from collbench.host.gpus import gpu_count
from collbench.kernels.files import Broken, find_kernels
from collbench.kernels.kernel import Kernel

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    from collbench.devices.device import Device
    from collbench.plan.problem import Problem
    from collbench.ranks.world import World

ENTRY_POINTS = "collbench.backends"
MEMBERS = ("DEVICE", "SUMMARY", "missing", "refuses", "exact_order", "wire_bytes", "open")


def _installed() -> EntryPoints:
    """What other distributions name; --help is quick without the module that finds it."""
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)


def _own_names() -> list[str]:
    """Names of the backends in our folder."""
    folder = pkgutil.iter_modules(backends.__path__)
    return [name.replace("_", "-") for _, name, _ in folder if not name.startswith("_")]


def names() -> list[str]:
    """Names of all backends."""
    return sorted({*_own_names(), *find_kernels(), *(point.name for point in _installed())})


def is_of_kernels(spec: str) -> bool:
    """Whether a backend is a kernel, or picks among them."""
    name = split(spec)[0]
    return name == "nvrar" or name in find_kernels()


def kernel_of(spec: str) -> Kernel | None:
    """The kernel that a backend is; None for all others."""
    backend = find(spec)
    return backend.kernel if isinstance(backend, _kernels.KernelBackend) else None


def hidden() -> dict[str, str]:
    """Kernels that no name leads to, and why: a backend is called the same."""
    found = find_kernels()
    return {
        name: f"{found[name].path}: {name!r} is a backend that is no kernel; rename the file"
        for name in found.keys() & set(_own_names())
    }


@dataclass
class Unusable:
    """Stands for a backend that cannot be loaded, so that it keeps nobody from using the others."""

    reason: str
    DEVICE: str = "cpu"
    SUMMARY: str = "cannot be loaded"

    def missing(self) -> str | None:
        """What is wrong with its file."""
        return self.reason

    def refuses(self, problem: Problem) -> str | None:
        """What is wrong with its file."""
        return self.reason

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """None is known."""
        return None

    def wire_bytes(self, problem: Problem) -> float | None:
        """None are known."""
        return None

    def open(self, world: World, device: Device, arena_bytes: int) -> Session:
        """Never: it is skipped before."""
        raise CannotRunError(self.reason)


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
    if name in _own_names():
        return importlib.import_module(f"{backends.__name__}.{name.replace('-', '_')}")
    file = find_kernels().get(name)
    if isinstance(file, Broken):
        return Unusable(file.reason, DEVICE=_kernels.device())
    if file:
        return _kernels.find(name)
    point = next(each for each in _installed() if each.name == name)
    return point.load()


def _whole(found: object) -> Backend:
    lacks = [member for member in MEMBERS if not hasattr(found, member)]
    if lacks:
        return Unusable(f"it defines no {lacks[0]}; a backend has {', '.join(MEMBERS)}")
    return cast(Backend, found)


def _configured(name: str, backend: Backend, parameters: dict[str, str]) -> Backend:
    if not isinstance(backend, Configurable):
        raise UsageError(f"backend {name} takes no parameters; leave {', '.join(parameters)} away.")
    try:
        return _whole(backend.configured(parameters))
    except UsageError:
        raise
    except Exception as error:
        return Unusable(f"it does not take its parameters ({type(error).__name__}: {error}); mend or remove it")


def candidates(backend: Backend, problem: Problem) -> tuple[str, ...]:
    """Specs worth trying when tuning for ``problem``, each once, the default first; none where it has no say."""
    return tuple(dict.fromkeys(backend.candidates(problem))) if isinstance(backend, Tunable) else ()


def ways(backend: Backend) -> Mapping[str, Opening]:
    """Other ways to open the backend, by name; none where it has one way only."""
    return backend.WAYS if isinstance(backend, OtherWays) else {}


def refusal(problem: Problem, name: str) -> str | None:
    """What the machine lacks to run ``problem``, or what the backend refuses anywhere; None where it can run."""
    backend = find(name)
    return backend.missing() or backend.refuses(problem)


def default_backends() -> tuple[str, ...]:
    """All that can run here on GPUs if there are some, else all that can run on CPU ranks.

    Kernels of ours are timed as ``nvrar`` on GPUs, which picks among them, and each by itself on CPU ranks: there they
    always have a row, also where it must say that a compiler is missing.
    """
    found = {name: find(name) for name in names()}
    here = [name for name, backend in found.items() if backend.missing() is None]
    ours = _kernels.own_names()
    on_gpus = tuple(name for name in here if found[name].DEVICE == "gpu" and name not in ours)
    told = ours if _kernels.device() == "cpu" else []
    return on_gpus or tuple(name for name in found if name != "nvrar" and (name in here or name in told))


def default_dtypes(specs: Iterable[str]) -> tuple[str, ...]:
    """The type that is common where these backends run."""
    on_gpus = any(find(name).DEVICE == "gpu" for name in specs)
    return ("bfloat16",) if on_gpus and gpu_count() else ("float32",)
