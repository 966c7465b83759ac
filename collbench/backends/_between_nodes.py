"""Schedules that add up one shard of every node over MPI point-to-point: what ``mpi_nvrar`` does between nodes.

Ranks of the same local index, one on each of N nodes, have a shard of s bytes each, and all end with its total.
C is the largest power of two up to N. What the busiest rank waits for and sends:

==========  ==================  ===========================  ==================  =======================
schedule    trips, N = C        bytes, N = C                 messages, N = C     otherwise more
==========  ==================  ===========================  ==================  =======================
doubling    log2 N              s log2 N                     log2 N              2 trips, s, 1 message
halving     2 log2 N            2 (N-1)/N s                  2 log2 N            2 trips, s, 1 message
one-shot    1                   (N-1) s                      N-1                 nothing
two-shot    2                   2 (N-1)/N s                  2 (N-1)             nothing
==========  ==================  ===========================  ==================  =======================

Doubling and halving add pairs of nodes at distance 1, 2, 4, ..., with one rounding per step; where N is not C, nodes
beyond C first fold their shards into those of a partner, and receive the total at the end. The other two add in order
of node, with one rounding at the end. Either way an element is added in one order wherever that happens, so all ranks
obtain the same bits. Sources: Thakur, Rabenseifner and Gropp, IJHPCA 19 (2005), for the first two; the kernels of
FasterTransformer and vLLM (csrc/custom_all_reduce.cuh) for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from collbench.backends._point_to_point import Combine, Exchange, add_to, node_sum
from collbench.plan.problem import Problem

if TYPE_CHECKING:
    from collbench.devices.device import Values

FOLD_TAG, UNFOLD_TAG, FIRST_TAG = 3, 4, 5
MESSAGES_OF_A_TRIP = 32  # that a rank starts in the time of one; assumed: some 6 us of TCP's 200


def doubling_nodes(nodes: int) -> int:
    """The largest power of two up to ``nodes``: the number of nodes in the doubling."""
    return 1 << (nodes.bit_length() - 1)


def pieces(count: int, parts: int) -> list[slice]:
    """``count`` elements in ``parts`` consecutive pieces, as equal as can be."""
    return [slice(low, high) for low, high in pairwise(count * edge // parts for edge in range(parts + 1))]


@dataclass(frozen=True)
class Twins:
    """The ranks that add up one shard, ``ranks[n]`` on node n; this one is on ``node``, and ``shard`` is its memory."""

    comm: Any
    problem: Problem
    ranks: Sequence[int]
    node: int
    shard: Values
    combine: Combine

    @property
    def others(self) -> list[int]:
        """The other nodes, from the next one on, so that not all send to the same one first."""
        return [(self.node + ahead) % len(self.ranks) for ahead in range(1, len(self.ranks))]

    def exchange(self, tag: int, *pairs: tuple[int, Values | None, Values | None]) -> Exchange:
        """An exchange of (node, send buffer, receive buffer)."""
        return Exchange(
            self.comm, self.problem, tag, [(self.ranks[node], mine, theirs) for node, mine, theirs in pairs]
        )


class Schedule(Protocol):
    """One sum over nodes, prepared once and run repeatedly."""

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """All its exchanges, in order."""

    def __call__(self) -> None:
        """Replace the shard with the total; collective over the twins."""


class Doubling:
    """Recursive doubling: the whole shard is exchanged with the node at distance 1, 2, 4, ... and added."""

    def __init__(self, twins: Twins) -> None:
        import numpy as np

        self._shard, self._theirs, self._combine = twins.shard, np.empty_like(twins.shard), twins.combine
        steps = range(doubling_nodes(len(twins.ranks)).bit_length() - 1)
        self.exchanges = [
            twins.exchange(FIRST_TAG + step, (twins.node ^ (1 << step), self._shard, self._theirs)) for step in steps
        ]

    def __call__(self) -> None:
        for exchange in self.exchanges:
            exchange()
            add_to(self._shard, self._theirs, self._combine)


class Halving:
    """Recursive halving and doubling: at distance 1, 2, 4, ... a node gives away half of what it still adds up, and on
    the way back receives the totals of that half."""

    def __init__(self, twins: Twins) -> None:
        import numpy as np

        steps = range(doubling_nodes(len(twins.ranks)).bit_length() - 1)
        self._combine, kept = twins.combine, twins.shard
        self._halves: list[tuple[Exchange, Values, Values]] = []  # with what is kept, and what arrives for it
        self._copies: list[Exchange] = []
        for step in steps:
            low, high = (kept[half] for half in pieces(len(kept), 2))
            given, kept = (low, high) if twins.node >> step & 1 else (high, low)
            theirs, peer = np.empty_like(kept), twins.node ^ (1 << step)
            self._halves.append((twins.exchange(FIRST_TAG + step, (peer, given, theirs)), kept, theirs))
            self._copies.insert(0, twins.exchange(FIRST_TAG + 2 * len(steps) - 1 - step, (peer, kept, given)))
        self.exchanges = [*(exchange for exchange, _, _ in self._halves), *self._copies]

    def __call__(self) -> None:
        for exchange, kept, theirs in self._halves:
            exchange()
            add_to(kept, theirs, self._combine)
        for copy in self._copies:
            copy()


class Folded:
    """A schedule among the first C nodes, into which the others fold their shards."""

    def __init__(self, core: Callable[[Twins], Schedule], twins: Twins) -> None:
        import numpy as np

        first, node, shard = doubling_nodes(len(twins.ranks)), twins.node, twins.shard
        self._shard, self._combine = shard, twins.combine
        self._theirs: Values | None = None
        self._inner: Schedule | None = None
        self._fold: list[Exchange] = []
        self._unfold: list[Exchange] = []
        if node >= first:
            self._fold = [twins.exchange(FOLD_TAG, (node - first, shard, None))]
            self._unfold = [twins.exchange(UNFOLD_TAG, (node - first, None, shard))]
        else:
            self._inner = core(twins)
            if node + first < len(twins.ranks):
                self._theirs = np.empty_like(shard)
                self._fold = [twins.exchange(FOLD_TAG, (node + first, None, self._theirs))]
                self._unfold = [twins.exchange(UNFOLD_TAG, (node + first, shard, None))]
        inner = self._inner.exchanges if self._inner else ()
        self.exchanges = [*self._fold, *inner, *self._unfold]

    def __call__(self) -> None:
        for fold in self._fold:
            fold()
        if self._theirs is not None:
            add_to(self._shard, self._theirs, self._combine)
        if self._inner:
            self._inner()
        for unfold in self._unfold:
            unfold()


class OneShot:
    """Every node sends its shard to all others, and each adds them all up."""

    def __init__(self, twins: Twins) -> None:
        import numpy as np

        self._shard, self._combine = twins.shard, twins.combine
        self._parts = [np.empty_like(self._shard) for _ in twins.ranks]
        self._parts[twins.node] = self._shard
        pairs = [(node, self._shard, self._parts[node]) for node in twins.others]
        self.exchanges = [twins.exchange(FIRST_TAG, *pairs)]

    def __call__(self) -> None:
        self.exchanges[0]()
        self._shard[...] = node_sum(self._parts, self._combine)


class TwoShot:
    """Node n adds up piece n of the shard, which all send to it, and sends the total to all."""

    def __init__(self, twins: Twins) -> None:
        import numpy as np

        shares = [twins.shard[piece] for piece in pieces(len(twins.shard), len(twins.ranks))]
        self._total, self._combine = shares[twins.node], twins.combine
        self._parts = [np.empty_like(self._total) for _ in shares]
        self._parts[twins.node] = self._total
        scatter = [(node, shares[node], self._parts[node]) for node in twins.others]
        gather = [(node, self._total, shares[node]) for node in twins.others]
        self.exchanges = [twins.exchange(FIRST_TAG, *scatter), twins.exchange(FIRST_TAG + 1, *gather)]

    def __call__(self) -> None:
        scatter, gather = self.exchanges
        scatter()
        self._total[...] = node_sum(self._parts, self._combine)
        gather()


@dataclass(frozen=True)
class Cost:
    """What the busiest rank does: ``trips`` that wait for each other, ``shards`` of s bytes and ``messages`` that it
    sends."""

    trips: int
    shards: float
    messages: int


def _folding(nodes: int) -> Cost:
    odd = nodes > doubling_nodes(nodes)
    return Cost(2 * odd, float(odd), int(odd))


def _doubling(nodes: int) -> Cost:
    steps, fold = doubling_nodes(nodes).bit_length() - 1, _folding(nodes)
    return Cost(steps + fold.trips, steps + fold.shards, steps + fold.messages)


def _halving(nodes: int) -> Cost:
    core, fold = doubling_nodes(nodes), _folding(nodes)
    steps = core.bit_length() - 1
    return Cost(2 * steps + fold.trips, 2 * (core - 1) / core + fold.shards, 2 * steps + fold.messages)


def _one_shot(nodes: int) -> Cost:
    return Cost(int(nodes > 1), float(nodes - 1), nodes - 1)


def _two_shot(nodes: int) -> Cost:
    return Cost(2 * (nodes > 1), 2 * (nodes - 1) / nodes, 2 * (nodes - 1))


@dataclass(frozen=True)
class Way:
    """One way to add up shards between nodes: its schedule, its cost by number of nodes, and its order of additions:
    ``in_pairs``, or in order of node."""

    make: Callable[[Twins], Schedule]
    cost: Callable[[int], Cost]
    in_pairs: bool


def _folded(core: Callable[[Twins], Schedule]) -> Callable[[Twins], Schedule]:
    return lambda twins: Folded(core, twins)


SCHEDULES: Mapping[str, Way] = MappingProxyType({
    "doubling": Way(_folded(Doubling), _doubling, in_pairs=True),
    "one-shot": Way(OneShot, _one_shot, in_pairs=False),
    "two-shot": Way(TwoShot, _two_shot, in_pairs=False),
    "halving": Way(_folded(Halving), _halving, in_pairs=True),
})  # fmt: skip


def quickest(nodes: int, shard_bytes: float, trip_bytes: float) -> str:
    """The way whose trips, messages and bytes take the least time, where a trip takes as long as sending
    ``trip_bytes``; of equal ones the first of ``SCHEDULES``."""

    def taken(name: str) -> float:
        cost = SCHEDULES[name].cost(nodes)
        return (cost.trips + cost.messages / MESSAGES_OF_A_TRIP) * trip_bytes + cost.shards * shard_bytes

    return min(SCHEDULES, key=taken)
