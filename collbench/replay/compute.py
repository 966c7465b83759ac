"""What stands between the collectives of a replay: nothing, a spin, or the matrix products of the model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from collbench.devices.device import Array, Call, Device
from collbench.devices.matrices import Matrices
from collbench.errors import UsageError
from collbench.llm.order import ATTENTION, HEAD, Work
from collbench.llm.passes import Pass
from collbench.llm.products import Product, head_product, layer_products
from collbench.llm.steps import Deployment

if TYPE_CHECKING:
    from collbench.devices.gpu import Gpu

WEIGHTS_BYTES: Mapping[str, int] = {"gpu": 4 << 30, "cpu": 256 << 20}  # of layers that take turns
LAST_OF_ATTENTION = "attention output"
WEIGHT_BYTES_ON_CPU = 4


class Compute(Protocol):
    """The work of a rank between collectives, as calls that are enqueued as those are."""

    @property
    def words(self) -> str:
        """What is computed, for the sidecar."""

    def calls(self, work: Work) -> Sequence[Call]:
        """The calls of this work."""

    def handed_on(self, array: Array) -> Sequence[Call]:
        """The calls that leave ``array``, the input of a collective, in the cache, as work does that writes it."""


@dataclass(frozen=True)
class Nothing:
    """Collectives one after another."""

    words: str = "nothing"

    def calls(self, work: Work) -> Sequence[Call]:
        """None."""
        return ()

    def handed_on(self, array: Array) -> Sequence[Call]:
        """None: it is there."""
        return ()


@dataclass(frozen=True)
class Spin:
    """A spin of so many seconds for each attention, each MLP and the head."""

    device: Device
    seconds: float

    @property
    def words(self) -> str:
        """The length of a spin."""
        return f"spins of {self.seconds * 1e6:g} us"

    def calls(self, work: Work) -> Sequence[Call]:
        """One spin."""
        return (spin(self.device, self.seconds),)

    def handed_on(self, array: Array) -> Sequence[Call]:
        """None: a spin evicts nothing."""
        return ()


def spin(device: Device, seconds: float) -> Call:
    """A call that keeps the device busy for ``seconds``, without sleeping on a CPU."""
    return partial(device.hold_back if device.kind == "gpu" else _spin, seconds)


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def check_products(deployment: Deployment) -> None:
    """Raise UsageError for models whose products are not those of every rank alike."""
    model = deployment.model
    if model.moe_layers or model.kv_heads is None:
        raise UsageError(
            f"--compute gemm has no products of experts and of MLA, and {model.name} does; use --compute spin."
        )
    layer_products(deployment, 0, 1)


@dataclass
class Products:
    """The products of a rank of one stage with weights of ``held`` layers, which take turns so that a cache does not
    hold them; attention itself, norms and activations are left out."""

    matrices: Matrices
    deployment: Deployment
    one: Pass
    layers: range
    held: int
    _weights: dict[tuple[object, ...], Array] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The number of layers whose weights are in memory."""
        return f"matrix products with weights of {self.held} layers in turns"

    def calls(self, work: Work) -> Sequence[Call]:
        """Its matrix products."""
        turn = (work.layer - self.layers.start) % self.held
        return [self._call(product, (work.part, turn)) for product in self._products(work)]

    def handed_on(self, array: Array) -> Sequence[Call]:
        """One that reads it: weights have evicted it, where an engine has just written it."""
        return (self.matrices.touched(array),) if array.size else ()

    def _products(self, work: Work) -> list[Product]:
        if work.part == HEAD:
            return [head_product(self.deployment, self.one.rows)]
        found = layer_products(self.deployment, work.layer, self.deployment.padded(self.one))
        end = 1 + [product.what for product in found].index(LAST_OF_ATTENTION)
        return found[:end] if work.part == ATTENTION else found[end:]

    def _call(self, product: Product, place: tuple[object, ...]) -> Call:
        rows, inner, columns = int(product.rows), product.inner, product.columns
        source = self._kept(("rows", rows, inner), partial(self.matrices.filled, rows, inner))
        weight = self._kept((*place, product.what), partial(self.matrices.filled, columns, inner))
        target = self._kept(("result", rows, columns), partial(self.matrices.empty, rows, columns))
        return self.matrices.product(source, weight, target)

    def _kept(self, key: tuple[object, ...], make: Call) -> Array:
        if key not in self._weights:
            self._weights[key] = make()
        return self._weights[key]


def compute_of(
    compute: str, spin_seconds: float, device: Device, deployment: Deployment, one: Pass, stage: int
) -> Compute:
    """The compute of a rank of ``stage``; "gemm" allocates weights of random numbers when its calls are asked for."""
    if compute == "none":
        return Nothing()
    if compute == "spin":
        return Spin(device, spin_seconds)
    layers = deployment.stages[stage]
    width = deployment.dtype.itemsize if device.kind == "gpu" else WEIGHT_BYTES_ON_CPU
    each = width * sum(product.weights for product in layer_products(deployment, layers.start, 1))
    held = max(1, min(len(layers), int(WEIGHTS_BYTES[device.kind] // each)))
    return Products(_matrices(device, deployment), deployment, one, layers, held)


def _matrices(device: Device, deployment: Deployment) -> Matrices:
    if device.kind == "gpu":
        from collbench.devices.gpu_matrices import GpuMatrices

        return GpuMatrices(deployment.dtype, cast("Gpu", device).stream.ptr)
    from collbench.devices.cpu_matrices import CpuMatrices

    return CpuMatrices()
