"""NCCL's own forecast: the model by which it picks algorithm and protocol, with the constants of its source.

Source: NVIDIA/nccl, src/graph/tuning.cc, functions ncclTopoTuneModel and ncclTopoGetAlgoTime, for the tree and the ring
on NVLink and a network, read in 2.20 to 2.30.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from collbench.errors import UsageError, pick

PROTOCOLS = ("LL", "LL128", "Simple")
TREE, RING = "Tree", "Ring"
FIRST, LAST = (2, 20), (2, 30)  # versions whose source was read
CHANGED = (2, 23)  # from here on Tree has cheaper Simple steps, and a ring 2 (N - 1) of its steps between nodes
STEPS: Mapping[str, int] = MappingProxyType({"all_reduce": 2, "reduce_scatter": 1, "all_gather": 1})
MOST_CHANNELS = 1 << 10
_PLATEAU = 1.4  # of the latency of Ring Simple between nodes, from 64 B a channel and rank on, from Ampere on
_PLATEAU_BYTES = 64

Triple = tuple[float, float, float]  # LL, LL128, Simple
_BASE: Mapping[str, Triple] = MappingProxyType({TREE: (6.8, 14.0, 8.4), RING: (6.6, 14.0, 8.4)})
_NVLINK: Mapping[str, Triple] = MappingProxyType({TREE: (0.6, 1.25, 4.0), RING: (0.6, 1.9, 3.4)})
_NET: Mapping[str, Triple] = MappingProxyType({TREE: (5.0, 8.5, 14.0), RING: (2.7, 4.0, 14.0)})
_OLD_TREE_BASE, _OLD_TREE_STEP = 0.0, 28.0  # of Tree Simple before CHANGED, on every link
_CORRECTION: Mapping[str, tuple[float, ...]] = MappingProxyType({  # of Tree's bandwidth, by log2(bytes / 64)
    "LL": (1, 1, 1, 1, .9, .8, .7, .7, .7, .7, .6, .5, .4, .4, .5, .6, .7, .8, .9, 1, 1, 1, 1),
    "LL128": (1, 1, 1, 1, 1, .9, .8, .8, .8, .7, .6, .6, .6, .6, .6, .6, .8, .9, .9, .9, .9, 1, 1),
    "Simple": (.9, .9, .9, .9, .9, .9, .9, .8, .7, .6, .6, .5, .5, .5, .5, .6, .7, .8, .7, .7, .8, .9, .9),
})  # fmt: skip


@dataclass(frozen=True)
class Generation:
    """Limits of bandwidth in GB/s: of LL in one node, and of a channel on 1, 2 and more nodes."""

    ll: float
    ring_ll128: Triple
    tree_ll128: Triple
    tree: Triple


GPUS: Mapping[str, Generation] = MappingProxyType({
    "a100": Generation(87.7, (20.0, 20.0, 20.0), (20.0, 20.0, 20.0), (24.0, 23.6, 17.8)),
    "h100": Generation(141.0, (36.7, 36.7, 36.7), (36.7, 36.7, 29.0), (38.7, 41.4, 36.0)),
    "b200": Generation(282.0, (40.0, 40.0, 40.0), (55.6, 31.67, 20.0), (70.0, 42.8, 24.0)),
})  # fmt: skip
_LL_BETWEEN: Mapping[str, tuple[float, float]] = MappingProxyType({"intel": (39.0, 20.4), "amd": (22.5, 19.0)})
_POST: Mapping[str, float] = MappingProxyType({"intel": 1.0, "amd": 2.0})  # us of the host for each step of a ring


@dataclass(frozen=True)
class Machine:
    """What NCCL finds: a generation of GPUs (h100 also for H200 and GH200), the host's processor (``intel`` also for
    what is neither Intel nor AMD), ``channels`` of ``width`` GB/s each, the network plugin's own latency in
    microseconds, and the version of NCCL.

    Raises UsageError for a machine or a version that the model does not know, and for numbers that are not positive.
    """

    gpu: str
    channels: int
    width: float
    cpu: str = "intel"
    net_us: float = 0.0
    version: tuple[int, int] = LAST

    def __post_init__(self) -> None:
        pick("GPU", self.gpu, GPUS)
        pick("processor", self.cpu, _POST)
        if not FIRST <= self.version <= LAST:
            first, last = (".".join(map(str, each)) for each in (FIRST, LAST))
            raise UsageError(f"the constants of NCCL {_dotted(self.version)} were not read; {first} to {last} were.")
        if (
            not 1 <= self.channels <= MOST_CHANNELS
            or not 0 < self.width < float("inf")
            or not 0 <= self.net_us < float("inf")
        ):
            raise UsageError(
                f"channels are 1 to {MOST_CHANNELS}, their bandwidth is positive, and the network's latency at least 0."
            )

    @property
    def is_old(self) -> bool:
        """Whether the version is one before CHANGED."""
        return self.version < CHANGED


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


@dataclass(frozen=True)
class Way:
    """An algorithm with a protocol, its latency in microseconds and its bandwidth in GB/s, both as in NCCL's table."""

    algorithm: str
    protocol: str
    latency: float
    bandwidth: float

    def us(self, operation: str, size: int, plateau: bool) -> float:
        """The time in microseconds for ``size`` bytes. ``plateau``: a ring between nodes whose pieces are not tiny."""
        bandwidth, latency = self.bandwidth, self.latency
        if self.algorithm == TREE and operation == "all_reduce":
            bandwidth *= correction(self.protocol, size)
        if plateau and (self.algorithm, self.protocol, operation) == (RING, "Simple", "all_reduce"):
            latency *= _PLATEAU
        return latency + size / (1000 * bandwidth)


def correction(protocol: str, size: int) -> float:
    """The factor of Tree's bandwidth at ``size`` bytes."""
    step = (size >> 6).bit_length() - 1
    return _CORRECTION[protocol][step] if 0 <= step < len(_CORRECTION[protocol]) else 1.0


def has_plateau(size: int, channels: int, ranks: int, nodes: int) -> bool:
    """Whether NCCL expects a ring to be slowed down between nodes."""
    return nodes > 1 and size // (channels * ranks) >= _PLATEAU_BYTES


def ways(machine: Machine, operation: str, ranks: int, nodes: int) -> list[Way]:
    """Every way that NCCL has for ``operation`` on ``ranks`` ranks, evenly on ``nodes`` nodes. Raises UsageError for a
    collective that the model has no ring or tree for."""
    pick("collective of NCCL's forecast", operation, STEPS)
    kinds = (TREE, RING) if operation == "all_reduce" else (RING,)
    return [
        Way(kind, protocol, _latency(machine, kind, at, operation, ranks, nodes),
            _bandwidth(machine, kind, at, operation, ranks, nodes))
        for kind in kinds for at, protocol in enumerate(PROTOCOLS)
    ]  # fmt: skip


def forecast(machine: Machine, operation: str, size: int, ranks: int, nodes: int) -> tuple[float, Way]:
    """The time in microseconds that NCCL expects, and the way that it takes: the one with the least."""
    plateau = has_plateau(size, machine.channels, ranks, nodes)
    found = [(way.us(operation, size, plateau), way) for way in ways(machine, operation, ranks, nodes)]
    return min(found, key=lambda each: each[0])


def _step(machine: Machine, kind: str, at: int, table: Mapping[str, Triple]) -> float:
    old = machine.is_old and kind == TREE and PROTOCOLS[at] == "Simple"
    return _OLD_TREE_STEP if old else table[kind][at]


def _latency(machine: Machine, kind: str, at: int, operation: str, ranks: int, nodes: int) -> float:
    simple, per_node = PROTOCOLS[at] == "Simple", ranks // nodes
    base = _OLD_TREE_BASE if machine.is_old and kind == TREE and simple else _BASE[kind][at]
    inside = _step(machine, kind, at, _NVLINK)
    exposed = TREE if per_node == 1 and not machine.is_old else kind  # one GPU a node hides nothing of the network
    between = _step(machine, exposed, at, _NET) + machine.net_us * (2 if simple else 1)
    if kind == TREE:
        return base + 2 * ((per_node - 1) * inside + (nodes.bit_length() - 1) * between)
    steps, out = STEPS[operation] * (ranks - 1), _steps_between(machine, operation, nodes)
    post = _POST[machine.cpu] * (3 if simple else 1) if nodes > 1 else 0.0
    return base + (steps - out) * max(inside, post) + out * between


def _steps_between(machine: Machine, operation: str, nodes: int) -> int:
    if nodes == 1:
        return 0
    return 2 * nodes if machine.is_old and operation == "all_reduce" else STEPS[operation] * (nodes - 1)


def _bandwidth(machine: Machine, kind: str, at: int, operation: str, ranks: int, nodes: int) -> float:
    """The bandwidth of the algorithm in GB/s: bytes of the message over the time for them."""
    limits, place = GPUS[machine.gpu], min(nodes, 3) - 1
    ll = limits.ll if nodes == 1 else _LL_BETWEEN[machine.cpu][place - 1]
    channels, whole = machine.channels, machine.channels * machine.width
    if kind == TREE:
        whole = min(0.92 * whole, channels * limits.tree[place])
        share = 7 / 9 if nodes == 1 else 120 / 128
        found = (min(whole / 3.8, ll), min(share * whole, channels * limits.tree_ll128[place]), whole)[at]
        return found * 0.85 * 0.5
    efficiency = 0.7 if machine.is_old and ranks == nodes else 0.92
    found = (min(ll, whole / 2), min(efficiency * whole, channels * limits.ring_ll128[place]), whole)[at]
    return found * ranks / (STEPS[operation] * (ranks - 1))
