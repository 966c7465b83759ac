"""Time of a pass outside collectives: given, from a roofline, or from a replay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from collbench.errors import UsageError
from collbench.fit.estimate import ASSUMED, Estimate
from collbench.llm.passes import DRAFT, Batch, Pass
from collbench.llm.products import attention, head_product, layer_products
from collbench.llm.steps import Deployment
from collbench.predict.gpus import Gpu
from collbench.predict.sums import total

_TIME = re.compile(r"(?:([1-9]\d*)=)?(\d+(?:\.\d+)?)(us|µs|ms)")
OTHER_PASSES = ("prefill", DRAFT)  # than those of the model that yield its tokens
LONGEST = 1e6  # microseconds of a layer
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
    """Microseconds for each layer of a decode step by ranks of tensor parallelism, as the user says; the head
    takes nothing beside."""

    times: Mapping[int, float]

    @property
    def name(self) -> str:
        """The times with their tensor parallelism."""
        return "given, a layer takes " + ", ".join(f"{us:g} µs at TP {tp}" for tp, us in self.times.items())

    def of(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """As `Compute.of`; passes that read prompts and other numbers of ranks have no time."""
        tp = deployment.parallel.tp
        if one.kind in OTHER_PASSES:
            raise UsageError(
                f"--compute gives the time of a layer in a decode step alone; --gpu has that of a {one.kind}."
            )
        if tp not in self.times:
            raise UsageError(f"--compute has no time of a layer at TP {tp}; write {tp}=12.3us.")
        us = self.times[tp] * deployment.model.layers
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
    return Work(one.tokens / (1 if one.kind == DRAFT else batch.width) * there, one.tokens * there)


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
        head = head_product(deployment, one.rows)
        seconds += self._time(deployment, head.operations, head.weights)
        return total([(1, self._estimate(seconds)), (1, self.attention(deployment, batch, one))])

    def attention(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """What the attention of all layers takes in a pass (microseconds)."""
        asked, found = work(batch, one), attention(deployment)
        each = self._time(deployment, found.operations * asked.pairs, found.cached * asked.cached)
        return self._estimate(deployment.model.layers * each)

    def _estimate(self, seconds: float) -> Estimate:
        us = 1e6 * seconds
        return Estimate(us / self.efficiency, us, us / self.efficiency**2, ASSUMED, f"compute: {self.name}")

    def _time(self, deployment: Deployment, operations: float, elements: float) -> float:
        dtype = deployment.dtype
        return max(operations / self.gpu.peak(dtype), elements * dtype.itemsize / self.gpu.bandwidth)

    def _layer(self, deployment: Deployment, layer: int, tokens: int) -> float:
        products = layer_products(deployment, layer, tokens)
        return sum(self._time(deployment, each.operations, each.weights) for each in products)


@dataclass(frozen=True)
class PrefillBy:
    """One source of compute times for decode steps, another for passes that read prompts or are of a draft model."""

    decode: Compute
    prefill: Compute

    @property
    def name(self) -> str:
        """Both names."""
        return f"decode: {self.decode.name}; prefill and drafts: {self.prefill.name}"

    def of(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """As `Compute.of`."""
        return (self.prefill if one.kind in OTHER_PASSES else self.decode).of(deployment, batch, one)


def parse_times(text: str, tp: int) -> Given:
    """Times of a layer such as 12.3us, at ``tp`` ranks, or 4=0.4ms,8=12.3us. Raises UsageError for other text."""
    found: dict[int, float] = {}
    for part in text.split(","):
        match = _TIME.fullmatch(part.strip())
        if match is None:
            raise UsageError(f"{part!r} is not a time of a layer; write 12.3us, or 4=20us,8=12us for TP 4 and TP 8.")
        ranks, us = int(match[1] or tp), float(match[2]) * (1000 if match[3] == "ms" else 1)
        if ranks in found or not 0 < us < LONGEST:
            raise UsageError(
                f"{part!r} is a second time at TP {ranks}, or not one above 0 and below 1 s; give one each."
            )
        found[ranks] = us
    return Given(found)
