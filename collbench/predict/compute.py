"""Time of a pass outside collectives: given, from a roofline, or from a replay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from collbench.errors import UsageError
from collbench.fit.estimate import ASSUMED, Estimate
from collbench.llm.passes import Batch, Pass
from collbench.llm.products import attention, head_product, layer_products
from collbench.llm.steps import Deployment
from collbench.predict.gpus import Gpu

EFFICIENCY = 0.7  # of the peaks; assumed, as nothing measured here supports it


class Compute(Protocol):
    """A source of compute times."""

    @property
    def name(self) -> str:
        """What it is called in tables and charts."""

    def of(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """What a rank computes in a pass (microseconds), over all stages one after another. Raises UsageError where
        that is not known."""


@dataclass(frozen=True)
class Given:
    """``us`` microseconds for each layer of each pass, as the user says; head and embedding take nothing beside."""

    us: float

    @property
    def name(self) -> str:
        """How many microseconds."""
        return f"{self.us:g} µs a layer, given"

    def of(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """As `Compute.of`; prefill passes have no time of their own, so that they are refused."""
        if one.kind == "prefill":
            raise UsageError("--compute gives the time of a layer in a decode step alone; --gpu has that of a prefill.")
        us = self.us * deployment.model.layers
        return Estimate(us, us, us, ASSUMED, f"compute: {self.name}")


@dataclass(frozen=True)
class Work:
    """What a pass asks of attention: tokens that the cache holds, and pairs of a token and one that it attends to."""

    cached: float
    pairs: float


def work(batch: Batch, one: Pass) -> Work:
    """The work of attention in a pass. A decode step is the mean of all: half of the output is there already. A token
    of a prompt attends to half of it; decode tokens that ride along in a chunk count as such."""
    if one.kind == "prefill":
        return Work(one.rows * batch.prompt, one.tokens * (batch.prompt + 1) / 2)
    there = batch.prompt + batch.output / 2
    return Work(one.tokens / batch.width * there, one.tokens * there)


@dataclass(frozen=True)
class Roofline:
    """The slower of operations and bytes for every product, at ``efficiency`` of the peaks of a data sheet.

    Weights of the products are read once in a pass, the cache of keys and values once in a layer, activations stay on
    chip. The range ends at the peaks, and as far on the other side: at ``efficiency`` squared.
    """

    gpu: Gpu
    efficiency: float = EFFICIENCY

    def __post_init__(self) -> None:
        if not 0 < self.efficiency <= 1:
            raise UsageError(f"--efficiency is {self.efficiency:g}; it must be above 0 and at most 1.")

    @property
    def name(self) -> str:
        """GPU and efficiency."""
        return f"roofline of {self.gpu.name} at {100 * self.efficiency:g} % of peak"

    def of(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """As `Compute.of`. Raises UsageError for a type without a peak, and a config without what products need."""
        tokens = deployment.padded(one)
        layers = range(deployment.model.layers)
        kinds = {layer in deployment.model.moe_layers: layer for layer in layers}
        each = {sparse: self._layer(deployment, layer, tokens) for sparse, layer in kinds.items()}
        seconds = sum(each[layer in deployment.model.moe_layers] for layer in layers)
        seconds += len(layers) * self._attention(deployment, work(batch, one))
        head = head_product(deployment, one.rows)
        seconds += self._time(deployment, head.operations, head.weights)
        us = 1e6 * seconds
        return Estimate(us / self.efficiency, us, us / self.efficiency**2, ASSUMED, f"compute: {self.name}")

    def _time(self, deployment: Deployment, operations: float, elements: float) -> float:
        dtype = deployment.dtype
        return max(operations / self.gpu.peak(dtype), elements * dtype.itemsize / self.gpu.bandwidth)

    def _layer(self, deployment: Deployment, layer: int, tokens: int) -> float:
        products = layer_products(deployment, layer, tokens)
        return sum(self._time(deployment, each.operations, each.weights) for each in products)

    def _attention(self, deployment: Deployment, asked: Work) -> float:
        found = attention(deployment)
        return self._time(deployment, found.operations * asked.pairs, found.cached * asked.cached)


@dataclass(frozen=True)
class PrefillBy:
    """One source of compute times for decode steps, another for passes that read prompts."""

    decode: Compute
    prefill: Compute

    @property
    def name(self) -> str:
        """Both names."""
        return f"decode: {self.decode.name}; prefill: {self.prefill.name}"

    def of(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """As `Compute.of`."""
        return (self.prefill if one.kind == "prefill" else self.decode).of(deployment, batch, one)


def parse_us(text: str) -> float:
    """Microseconds from a time such as 12.3us or 0.4ms. Raises UsageError for other text, and for a time below 0."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|µs|ms)", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a time of a layer; write it as 12.3us or 0.4ms.")
    return float(found[1]) * (1000 if found[2] == "ms" else 1)
