"""Bytes on the wires: what each GPU sends in a node and between nodes.

All-reduce, reduce-scatter, all-gather and broadcast go round a ring in the order of ranks, once for each node where
ranks of a node are neighbours; a gather goes straight to its first rank, an all-to-all to everyone in equal parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from collbench.llm.parallel import Parallel
from collbench.llm.steps import Step

Sent = tuple[int, Fraction, Fraction]  # a rank, and the bytes that it sends in its node and to other nodes
# Rounds of n - 1 steps, and whether the input is what a step carries or n times as much. Every rank is the root of as
# many broadcasts, so that on average each sends (n - 1) / n of a tensor.
_RING: Mapping[str, tuple[int, bool]] = {
    "all_reduce": (2, False), "all_reduce_rms_norm": (2, False), "reduce_scatter": (1, False),
    "all_gather": (1, True), "broadcast": (1, False),
}  # fmt: skip


@dataclass(frozen=True)
class Volume:
    """Bytes of one pass on one stage: sent by the GPU that sends most, and by all together over each kind of link."""

    busiest: Fraction
    in_node: Fraction
    between: Fraction


def volumes(steps: Iterable[Step], parallel: Parallel) -> dict[int, Volume]:
    """The volume of each stage that sends anything."""
    inside: dict[int, dict[int, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    outside: dict[int, dict[int, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for step in steps:
        for group in step.groups:
            for rank, near, far in sent(step.operation, group, step.bytes, parallel):
                inside[step.stage][rank] += near * step.count
                outside[step.stage][rank] += far * step.count
    return {stage: _volume(inside[stage], outside[stage]) for stage in sorted(inside)}


def _volume(inside: Mapping[int, Fraction], outside: Mapping[int, Fraction]) -> Volume:
    busiest = max(inside[rank] + outside[rank] for rank in inside)
    return Volume(busiest, sum(inside.values(), Fraction()), sum(outside.values(), Fraction()))


def sent(operation: str, group: tuple[int, ...], size: int, parallel: Parallel) -> Iterator[Sent]:
    """What each rank of a group sends in one call with an input of ``size`` bytes a rank."""
    if operation in _RING:
        yield from _ring(operation, group, size, parallel)
    elif operation == "all_to_all":
        yield from _all_to_all(group, size, parallel)
    else:
        to, senders = (group[0], group[1:]) if operation == "gather" else (group[1], group[:1])
        for rank in senders:
            yield _hop(rank, to, Fraction(size), parallel)


def _hop(rank: int, to: int, size: Fraction, parallel: Parallel) -> Sent:
    near = parallel.node_of(rank) == parallel.node_of(to)
    return (rank, size, Fraction()) if near else (rank, Fraction(), size)


def _ring(operation: str, group: tuple[int, ...], size: int, parallel: Parallel) -> Iterator[Sent]:
    rounds, is_share = _RING[operation]
    ranks = len(group)
    each = Fraction(rounds * (ranks - 1) * size, 1 if is_share else ranks)
    for rank, to in zip(group, (*group[1:], group[0]), strict=True):
        yield _hop(rank, to, each, parallel)


def _all_to_all(group: tuple[int, ...], size: int, parallel: Parallel) -> Iterator[Sent]:
    members = Counter(map(parallel.node_of, group))
    part = Fraction(size, len(group))
    for rank in group:
        near = members[parallel.node_of(rank)]
        yield rank, part * (near - 1), part * (len(group) - near)
