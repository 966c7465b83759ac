"""Which algorithms a backend may run, as far as its source or documentation says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collbench.errors import UsageError
from collbench.fit.algorithms import ALGORITHMS

# Base over alpha where measurements cannot tell them apart, since all their worlds take equally many steps: NCCL's own
# constants for Ring LL on NVLink (6.6 us and 0.6 us a step), what separates kernels of a graph over what a store takes
# to be seen (``plan.bounds``), and host memory, where nothing is launched.
NCCL_RATIO, GPU_RATIO, HOST_RATIO = 11.0, 2.0, 0.1
_FOR_ALL_REDUCE: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "nccl": ("ring", "tree"), "mpi": ("recursive doubling", "rabenseifner"), "mpi-ring": ("ring",),
    "nccl-symm": ("one-shot", "two-shot"), "torch-symm": ("one-shot", "two-shot"),
    "flashinfer": ("one-shot", "two-shot"), "nvshmem": ("one-shot",), "mpi-nvrar": ("nvrar",),
    "oneshot": ("one-shot",), "nvrar-lamport": ("nvrar",), "nvrar-ll": ("nvrar",), "nvrar-put": ("nvrar",),
    "nvrar-put-lamport": ("nvrar",), "nvrar-put-oneshot": ("nvrar, one-shot",),
    "nvrar-put-oneshot-lamport": ("nvrar, one-shot",),
    "nvrar-put-halving": ("nvrar, halving",),
})  # fmt: skip
_BETWEEN = MappingProxyType({  # what mpi-nvrar does between nodes, by its parameter of that name
    "one-shot": ("nvrar, one-shot",), "two-shot": ("nvrar, two-shot",), "halving": ("nvrar, halving",),
    "by-size": ("nvrar", "nvrar, one-shot", "nvrar, two-shot", "nvrar, halving"),
})  # fmt: skip
_BY_PUTS = ("nvrar", "nvrar, one-shot", "nvrar, halving")  # of nvrar, between nodes that only puts reach
_OF_KERNELS = ("one-shot", "nvrar")  # nvrar, which takes the one or the other, and kernels of others


@dataclass(frozen=True)
class Family:
    """The names of the algorithms of which a backend takes the quickest, and those ``between`` nodes (() for the same),
    of which the first is the one between virtual nodes; the ratio of base to alpha where measurements leave it open,
    and whether virtual nodes change what it does."""

    operation: str
    algorithms: tuple[str, ...]
    ratio: float
    sees_virtual_nodes: bool
    between: tuple[str, ...] = ()

    def on(self, nodes: int, virtual: bool = False) -> tuple[str, ...]:
        """The algorithms on so many nodes."""
        between = self.between[:1] if virtual else self.between
        return between or self.algorithms if nodes > 1 else self.algorithms

    @property
    def most(self) -> int:
        """The largest number of algorithms."""
        return max(len(self.algorithms), len(self.between))


def family_of(backend: str, operation: str, on_host: bool) -> Family:
    """The family of a backend; ``on_host``: in host memory. Raises UsageError for a collective without a model."""
    if operation not in ALGORITHMS:
        raise UsageError(f"there is no model of {operation}; there is one of {', '.join(sorted(ALGORITHMS))}.")
    name = backend.partition("@")[0].partition(":")[0]
    nccl = name in ("nccl", "nccl-symm")
    ratio = HOST_RATIO if on_host or name.startswith("mpi") else NCCL_RATIO if name == "nccl" else GPU_RATIO
    sees = not nccl and name not in ("nvshmem", "mpi")
    way = backend.partition(":between=")[2].partition(":")[0]
    algorithms = _BETWEEN.get(way) or _algorithms(name, operation)
    return Family(operation, algorithms, ratio, sees, _between(name, operation))


def _between(name: str, operation: str) -> tuple[str, ...]:
    """``nvrar`` takes its three phases wherever there are several nodes, or, where only puts reach them, what suits the
    size; fused with a norm, always the former. A kernel does what it does anywhere."""
    if not name.startswith("nvrar") or name in _FOR_ALL_REDUCE or not operation.startswith("all_reduce"):
        return ()
    return _BY_PUTS if (name, operation) == ("nvrar", "all_reduce") else _BY_PUTS[:1]


def _algorithms(name: str, operation: str) -> tuple[str, ...]:
    if operation in ("all_reduce", "all_reduce_rms_norm"):
        return _FOR_ALL_REDUCE.get(name, _OF_KERNELS)
    if operation in ("reduce_scatter", "all_gather"):
        return ("half ring",) if name == "nccl" else ("direct",)
    return (next(iter(ALGORITHMS[operation])),)
