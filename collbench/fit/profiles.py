"""Profiles of links: constants of a backend's model on NVLink, on Slingshot-11 and on InfiniBand NDR.

``nvlink`` is fitted to our own evidence: ``collbench fit results/h200x4-worlds.csv`` (nccl, nccl-symm, nvshmem) and
``collbench fit results/h200x4-nvrar-worlds.csv`` (nvrar), 2 and 4 H200, bfloat16, chains; a test fits them again.

``slingshot-11`` has the same inside a node. Between nodes NCCL's constants are effective ones: fitted to two public
curves of 2 nodes with 4 GH200 each, eager, out of place; there an all-reduce takes what these took. In other worlds
the law scales it, which is assumed.

``infiniband-ndr`` is assumed: NCCL's own constants for a step between nodes, and the 400 Gb/s of a ConnectX-7 port.

NVRAR has not been measured between nodes. There it is the analytic model, by the code's volume (nvrar) or the paper's
(nvrar-paper), with the latency of NCCL's quickest step between nodes and the bandwidth of a port for each GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from collbench.errors import UsageError, pick
from collbench.fit import public_curves
from collbench.fit.curves import Curve, Point, World
from collbench.fit.estimate import ASSUMED, Estimate, check_request
from collbench.fit.families import Family, family_of
from collbench.fit.fitting import fit_curve
from collbench.fit.law import BETWEEN, INSIDE, UNJUDGED, Law
from collbench.fit.lines import BASE, ONE, PER_LINE, QUICKER, SLOWER, Floats, Shape

Constants = tuple[float, ...]  # base, then alpha and ns a byte for each line; microseconds otherwise


@dataclass(frozen=True)
class Fitted:
    """The constants of a backend inside a node, and the range of its errors at held-out sizes and in held-out worlds,
    each as a logarithm of measured over predicted."""

    shape: Shape
    constants: Constants
    errors: tuple[float, float]
    world_errors: tuple[float, float]


# What the two files above give, to four digits.
NVLINK: Mapping[str, Fitted] = MappingProxyType({
    "nccl": Fitted(QUICKER, (5.302, 0.724, 0.005597, 3.337, 0.003227), (-0.181, 0.322), (-0.396, 0.371)),
    "nccl-symm": Fitted(QUICKER, (3.527, 0.2014, 0.05977, 6.782, 0.003936), (-0.259, 0.175), (-0.318, 0.235)),
    "nvshmem": Fitted(SLOWER, (1.897, 1.233, 0.4202, 6.471, 0.2653), (-0.127, 0.431), (-0.121, 0.452)),
    "nvrar": Fitted(ONE, (1.189, 0.9351, 0.002942), (-0.038, 0.048), (-0.056, 0.058)),
})  # fmt: skip
_NVLINK_WORLDS = ((2, 1), (4, 1))

# NCCL's constants for Tree between nodes (src/graph/tuning.cc): LL, whose cells are half flag, and Simple; a port of
# 400 Gb/s, of which it expects 0.92. The public curves on Slingshot are up to 3.6 times slower than NCCL's forecast.
NDR_BETWEEN = ((5.0, 1 / 25.0), (14.0, 1 / (0.92 * 50.0)))
NDR_ERRORS = (-math.log(1.5), math.log(4.0))
_NDR_WORLDS = tuple((each * nodes, nodes) for each in (1, 2, 4, 8) for nodes in (2, 4, 8, 16, 32))
# A port for each GPU in GB/s: 200 Gb/s (HPE Slingshot-11), 400 Gb/s (NVIDIA ConnectX-7), of which NCCL expects 0.92.
_PORTS: Mapping[str, float] = MappingProxyType({"slingshot-11": 0.92 * 25.0, "infiniband-ndr": 0.92 * 50.0})
# NVRAR between nodes: 0.7 of NCCL's speed was seen below 256 KiB (arXiv 2511.09557, second-hand).
_NVRAR_AT_WORST, _NVRAR_AT_BEST = 0.7, 1.25
_VOLUMES: Mapping[str, str] = MappingProxyType(
    {"nvrar": "nvrar, code's volume", "nvrar-paper": "nvrar, paper's volume"}
)


def _logs(found: Fitted) -> Floats:
    """Constants of a law that has links inside a node only; those between nodes are never used."""
    base, *lines = found.constants
    each = [(alpha, byte / 1e3, alpha, byte / 1e3) for alpha, byte in zip(lines[::2], lines[1::2], strict=True)]
    return np.log([base, *(value for line in each for value in line)])


def _law(family: Family, shape: Shape, constants: Floats, worlds: tuple[tuple[int, int], ...], **more: Any) -> Law:
    return Law(family, shape, constants, constants[None, :], worlds=worlds, **more)


@cache
def inside(backend: str) -> Law:
    """The law of a backend's all-reduces on NVLink. Raises UsageError for a backend that was not fitted."""
    found = NVLINK[pick("backend of the profile nvlink:", backend, NVLINK)]
    return _law(
        family_of(backend, "all_reduce", on_host=False), found.shape, _logs(found), _NVLINK_WORLDS,
        errors=found.errors, world_errors=found.world_errors, links=frozenset({INSIDE}), origin=f"nvlink {backend}",
    )  # fmt: skip


@cache
def slingshot() -> Law:
    """The effective constants of NCCL between two nodes on Slingshot-11, with those of NVLink inside them."""
    near = inside("nccl")
    points = tuple(Point(size, *public_curves.WORLD, us) for size, us in public_curves.points())
    known = {place: near.constants[place] for place in (BASE, *_inside_places(near.shape))}
    return fit_curve(Curve("nccl", near.family, points), "slingshot-11 nccl, effective, N = 2", known).law


def _inside_places(shape: Shape) -> list[int]:
    return [shape.slots(line).start + at for line in range(shape.count) for at in (0, 1)]


@cache
def infiniband() -> Law:
    """NCCL between nodes on InfiniBand NDR by assumed constants, with those of NVLink inside nodes."""
    near = inside("nccl")
    constants = near.constants.copy()
    for line, (alpha, byte_ns) in enumerate(NDR_BETWEEN):
        start = near.shape.slots(line).start
        constants[start + 2 : start + PER_LINE] = math.log(alpha), math.log(byte_ns / 1e3)
    return _law(
        near.family, near.shape, constants, _NDR_WORLDS, errors=NDR_ERRORS, world_errors=NDR_ERRORS,
        links=frozenset({INSIDE, BETWEEN}), origin="infiniband-ndr nccl", basis=ASSUMED,
    )  # fmt: skip


_NETWORKS: Mapping[str, Callable[[], Law]] = MappingProxyType({"slingshot-11": slingshot, "infiniband-ndr": infiniband})
PROFILES = ("nvlink", *_NETWORKS)
_PARTIAL = frozenset({"nccl-symm", *_VOLUMES})  # backends with kernels of some collectives alone
_OWN = frozenset({"all_reduce", "all_reduce_rms_norm", "reduce_scatter", "all_gather"})


@cache
def nvrar_between(profile: str, backend: str) -> Law:
    """NVRAR between the nodes of a network, by the volume that ``backend`` names."""
    near, nccl = inside("nvrar"), _NETWORKS[profile]()
    constants = near.constants.copy()
    steps = [nccl.constants[nccl.shape.slots(line).start + 2] for line in range(nccl.shape.count)]
    constants[BETWEEN : BETWEEN + 2] = min(steps), -math.log(_PORTS[profile] * 1e3)
    family = replace(near.family, algorithms=(_VOLUMES[backend],), between=())
    return _law(
        family, near.shape, constants, _NDR_WORLDS, errors=(-UNJUDGED, UNJUDGED), world_errors=(-UNJUDGED, UNJUDGED),
        links=frozenset({INSIDE, BETWEEN}), origin=f"{profile} {backend}", basis=ASSUMED,
    )  # fmt: skip


@dataclass(frozen=True)
class Profiled:
    """A backend on the links of a profile. Constants are those of all-reduces; for other collectives their use is
    assumed."""

    profile: str
    backend: str

    def __post_init__(self) -> None:
        pick("profile", self.profile, PROFILES)
        known = NVLINK if self.profile == "nvlink" else ("nccl", *_VOLUMES)
        pick(f"backend of the profile {self.profile}:", self.backend, known)

    @property
    def name(self) -> str:
        """The backend."""
        return self.backend

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`; raises UsageError for several nodes of the profile nvlink. A collective for which the
        backend has no kernel is NCCL's, which every engine has beside it."""
        check_request(size, ranks, nodes)
        if self.backend in _PARTIAL and operation not in _OWN:
            return replace(self, backend="nccl").of(operation, size, ranks, nodes)
        if nodes == 1:
            plain = self.backend.removesuffix("-paper")
            return _by(inside(plain), plain, operation, size, ranks, nodes)
        if self.profile == "nvlink":
            raise UsageError(f"the profile nvlink has no links between nodes; give one of {', '.join(_NETWORKS)}.")
        nccl = self._nccl(operation, size, ranks, nodes)
        if self.backend == "nccl":
            return nccl
        found = _by(nvrar_between(self.profile, self.backend), "nvrar", operation, size, ranks, nodes)
        low, high = found.us / _NVRAR_AT_BEST, max(found.high, nccl.us / _NVRAR_AT_WORST)
        return replace(found, low=low, high=high)

    def _nccl(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        found = _by(_NETWORKS[self.profile](), "nccl", operation, size, ranks, nodes)
        if self.profile == "slingshot-11" and operation.startswith("all_reduce"):
            return _met(found, size, (ranks, nodes))
        return found


def _met(found: Estimate, size: int, world: World) -> Estimate:
    """An estimate of NCCL on Slingshot-11, scaled so that it meets the public curves in their world."""
    law = float(slingshot().us([size], *public_curves.WORLD)[0, 0])
    factor = public_curves.us(size) / law
    us, low, high = (each * factor for each in (found.us, found.low, found.high))
    if world != public_curves.WORLD:
        return replace(found, us=us, low=low, high=high)
    return replace(found, us=us, low=us / public_curves.APART, high=us * public_curves.APART)


def _by(law: Law, backend: str, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
    """The estimate of a law for all-reduces, whose constants are assumed to hold for other collectives, fused ones
    among them."""
    if operation == "all_reduce":
        return law.estimate(size, ranks, nodes)
    other = replace(law, family=family_of(backend, operation, on_host=False))
    return replace(other.estimate(size, ranks, nodes), basis=ASSUMED)
