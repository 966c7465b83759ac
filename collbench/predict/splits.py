"""Tensor and pipeline parallelism over the GPUs of so many nodes: every split that an engine accepts, and why not the
others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from collbench.errors import UsageError
from collbench.llm.listing import Listing
from collbench.llm.products import memory
from collbench.llm.spec import Spec
from collbench.predict.gpus import Gpu
from collbench.tables import counted

NO_ROOM = "weights and cache"


@dataclass(frozen=True)
class Refused:
    """A split, or a source on one, without a prediction, and why. ``source`` is "" where it concerns all."""

    spec: Spec
    nodes: int
    source: str
    why: str


@dataclass(frozen=True)
class Accepted:
    """A split that an engine accepts, with its collectives."""

    spec: Spec
    nodes: int
    listing: Listing


Split = Accepted | Refused


def splits(spec: Spec, nodes: int, gpu: Gpu | None) -> Iterator[Split]:
    """Every split of tensor times pipeline parallelism over all GPUs of ``nodes``, from tensor parallelism alone to
    stages alone; those of replicas are in ``spec``. tp or pp other than 1 in ``spec`` is kept. With a ``gpu``, a split
    whose weights and cache exceed its memory is refused; so is ``spec`` where no split has that many GPUs."""
    kept = [
        each for each in ways(spec, nodes * spec.gpus_per_node) if spec.tp in {1, each.tp} and spec.pp in {1, each.pp}
    ]
    if not kept:
        yield Refused(spec, nodes, "", f"{spec} does not use all {counted(nodes * spec.gpus_per_node, 'GPU')}.")
    for each in kept:
        yield split(each, nodes, gpu)


def ways(spec: Spec, gpus: int) -> list[Spec]:
    """Every split of so many GPUs into tensor times pipeline parallelism, with the replicas of ``spec``."""
    one, rest = divmod(gpus, spec.dp)
    return [] if rest else [replace(spec, tp=tp, pp=one // tp) for tp in range(one, 0, -1) if one % tp == 0]


def split(spec: Spec, nodes: int, gpu: Gpu | None = None) -> Split:
    """The split of ``spec``, or why it is refused."""
    try:
        listing = spec.listing()
        if gpu:
            check_memory(listing, gpu)
    except UsageError as error:
        return Refused(spec, nodes, "", str(error))
    return Accepted(spec, nodes, listing)


def check_memory(listing: Listing, gpu: Gpu) -> None:
    """Raise UsageError where weights and the cache of a batch alone do not fit into a GPU."""
    deployment, batch = listing.deployment, listing.batch
    cached = batch.requests * (batch.prompt + batch.output)
    whole = [each for each in (deployment, listing.draft) if each]
    most = sum(max(memory(each, stage, cached) for stage in range(each.parallel.pp)) for each in whole)
    size = most * deployment.dtype.itemsize
    if size > gpu.memory:
        raise UsageError(f"{NO_ROOM} take {size / 1e9:,.0f} GB of a GPU's {gpu.memory / 1e9:g}.")
