"""What a faster all-reduce gives, beside what arXiv 2511.09557 measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collbench.errors import UsageError
from collbench.fit.estimate import Estimate, Latencies
from collbench.predict import amdahl
from collbench.predict.outcome import Range
from collbench.predict.sources import Faster
from collbench.predict.study import Study
from collbench.predict.sums import weakest

Pairs = Mapping[int, tuple[Estimate, Estimate]]  # by size in bytes: the baseline's, the other's
Ratios = Mapping[int, Range]  # by size in bytes


@dataclass(frozen=True)
class Gain:
    """How many times as fast as the ``baseline`` an all-reduce over all GPUs is by a ``source``: by nodes and GPUs, and
    size; ``bases`` by nodes."""

    baseline: str
    source: str
    ratios: Mapping[tuple[int, int], Ratios]
    bases: Mapping[int, str]


def gains(study: Study) -> Iterator[Gain]:
    """The gain of every source but the first and its `Faster` ones, at the sizes of the paper's claim, where both have
    an all-reduce."""
    base, *others = study.question.sources
    worlds = [(nodes, nodes * study.question.spec.gpus_per_node) for nodes in study.question.nodes]
    for other in (each for each in others if not isinstance(each, Faster)):
        pairs = {world: found for world in worlds if (found := _pairs(base, other, *world))}
        ratios = {world: {size: _ratio(*pair) for size, pair in found.items()} for world, found in pairs.items()}
        if ratios:
            yield Gain(base.name, other.name, ratios, {world[0]: _basis(found) for world, found in pairs.items()})


def _basis(pairs: Pairs) -> str:
    return weakest(each.basis for pair in pairs.values() for each in pair)


def _pairs(base: Latencies, other: Latencies, nodes: int, ranks: int) -> Pairs:
    found: dict[int, tuple[Estimate, Estimate]] = {}
    for size in amdahl.SIZES:
        try:
            found[size] = (base.of("all_reduce", size, ranks, nodes), other.of("all_reduce", size, ranks, nodes))
        except UsageError:
            continue  # one rank, or a size that a source has not: no number in the table
    return found


def _ratio(base: Estimate, other: Estimate) -> Range:
    return Range(base.us / other.us, base.low / other.high, base.high / other.low)


def shares_needed() -> list[tuple[str, float]]:
    """The share of communication with which a step becomes as fast as the paper's batch, for speed-ups s."""
    found = [(label, amdahl.needed_share(amdahl.WHOLE, faster)) for faster, label in amdahl.CLAIMS.items()]
    return [(label, share) for label, share in found if share is not None]
