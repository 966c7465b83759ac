"""NVRAR's schedule over MPI point-to-point: the readable reference for the kernels, on any number of nodes.

With G ranks per node and N nodes, for a message of S bytes:

1. Reduce-scatter in the node: rank g collects shard g (S/G bytes) of its G local ranks and adds them in the order
   of their local index, 16-bit floats in fp32 with one rounding at the end.
2. Recursive doubling between nodes: in step k the shard is exchanged with the rank of the same local index on node
   ``n xor 2**k`` and added, with one rounding per step. Where N is not a power of two, the nodes beyond the largest
   one first fold their shards into a partner and receive the result from it at the end.
3. All-gather in the node.

Each rank sends 2 (G-1)/G S + ceil(log2 N) S/G bytes at most. Addition of two numbers commutes, so all ranks obtain the
same bits. Source: arXiv 2511.09557.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from collbench.backends import ExactOrder
from collbench.backends._point_to_point import (
    Combine,
    Exchange,
    PointToPointSession,
    average,
    combine_of,
    open_session,
    pair_sum,
    wide,
)
from collbench.devices.device import Device, Values
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.plan.refusals import other_collective, uneven_nodes

if TYPE_CHECKING:
    from collbench.ranks.world import World

DEVICE = "cpu"
ONLY = ("all_reduce", "all_reduce_rms_norm")
SUMMARY = "NVRAR's schedule over MPI point-to-point, host memory: the readable reference"


def missing() -> str | None:
    """None: this process runs under MPI."""
    return None


def refuses(problem: Problem) -> str | None:
    """Why it cannot run ``problem``, or None: it is an all-reduce on nodes of equal size."""
    return other_collective("NVRAR", problem) or uneven_nodes("NVRAR", problem)


def doubling_nodes(nodes: int) -> int:
    """The largest power of two up to ``nodes``: the number of nodes in the doubling."""
    return 1 << (nodes.bit_length() - 1)


def wire_bytes(problem: Problem) -> float | None:
    """Bytes that the busiest rank sends per call."""
    layout = problem.layout
    per_node, nodes = layout.per_node or 1, layout.node_count
    core = doubling_nodes(nodes)
    exchanges = core.bit_length() - 1 + (nodes > core)
    return problem.bytes * (2 * (per_node - 1) + exchanges) / per_node


def node_sum(parts: Values, combine: Combine) -> Values:
    """The arithmetic of phase 1: ``parts`` of shape (G, n) combined in order, with one rounding."""
    total: Values = parts[0].astype(wide(parts.dtype))
    for part in parts[1:]:
        total = combine(total, part.astype(total.dtype))
    return total.astype(parts.dtype)


def exact_order(problem: Problem) -> ExactOrder | None:
    """The order of the three phases."""
    return partial(three_phases, layout=problem.layout, op=problem.op)


def three_phases(inputs: Values, layout: Layout, op: str) -> Values:
    """The bit-exact result of the schedule, shape (n,), for inputs of shape (ranks, n)."""
    total = node_sum(last_addends(inputs, layout, op), combine_of(op))
    return average(total, layout.size) if op == "avg" else total


def last_addends(inputs: Values, layout: Layout, op: str) -> Values:
    """What the last addition of the schedule adds, with one rounding: the inputs of the node where there is only one,
    else two rounded partial sums. Shape (addends, n) for inputs of shape (ranks, n)."""
    import numpy as np

    combine, nodes = combine_of(op), np.array(layout.nodes)
    if layout.node_count == 1:
        return inputs
    shards = [node_sum(inputs[nodes == node], combine) for node in range(layout.node_count)]
    core = doubling_nodes(len(shards))
    for extra, shard in enumerate(shards[core:]):
        shards[extra] = pair_sum(shards[extra], shard, combine)
    shards = shards[:core]
    for step in range(core.bit_length() - 2):
        shards = [pair_sum(shard, shards[node ^ (1 << step)], combine) for node, shard in enumerate(shards)]
    return np.stack([shards[0], shards[core // 2]])


def open(world: World, device: Device, arena_bytes: int) -> PointToPointSession:
    """A session with one schedule per call."""
    return open_session(world, device, arena_bytes, ThreePhases)


class ThreePhases:
    """One all-reduce from ``send`` to ``recv`` (possibly the same buffer), prepared once and run repeatedly."""

    def __init__(self, comm: Any, problem: Problem, send: Values, recv: Values) -> None:
        import numpy as np

        layout, rank = problem.layout, comm.Get_rank()
        self._comm, self._problem, self._rank = comm, problem, rank
        self._combine = combine_of(problem.op)
        self._node = layout.nodes[rank]
        self._folds_away = self._node >= doubling_nodes(layout.node_count)
        self._local = [peer for peer in range(layout.size) if layout.nodes[peer] == self._node]
        self._me = self._local.index(rank)
        bounds = [problem.count * index // len(self._local) for index in range(len(self._local) + 1)]
        self._shards = [slice(low, high) for low, high in zip(bounds, bounds[1:], strict=False)]
        mine = self._shards[self._me]
        self._input, self._output = send[mine], recv[mine]
        self._parts = np.empty((len(self._local), mine.stop - mine.start), send.dtype)
        self._shard, self._theirs = (np.empty_like(self._parts[0]) for _ in range(2))
        self._scatter = self._exchange(1, [(p, send[self._shards[i]], self._parts[i]) for i, p in self._peers()])
        self._fold, self._steps, self._unfold = self._between_nodes(layout)
        self._gather = self._exchange(2, [(p, self._output, recv[self._shards[i]]) for i, p in self._peers()])

    def _peers(self) -> list[tuple[int, int]]:
        """(local index, rank) of the other ranks of the node, from this rank's next neighbour on."""
        turned = self._local[self._me + 1 :] + self._local[: self._me]
        return [(self._local.index(peer), peer) for peer in turned]

    def _exchange(self, tag: int, pairs: list[tuple[int, Values | None, Values | None]]) -> Exchange:
        return Exchange(self._comm, self._problem, tag, pairs)

    def _between_nodes(self, layout: Layout) -> tuple[Exchange | None, list[Exchange], Exchange | None]:
        """Requests of phase 2: folding in, the doubling steps, folding out."""
        core, node = doubling_nodes(layout.node_count), self._node
        twins = [[r for r in range(layout.size) if layout.nodes[r] == n][self._me] for n in range(layout.node_count)]
        if self._folds_away:  # sends its shard to a partner and receives the result
            partner = twins[node - core]
            fold = self._exchange(3, [(partner, self._shard, None)])
            return fold, [], self._exchange(4, [(partner, None, self._shard)])
        steps = [
            self._exchange(5 + step, [(twins[node ^ (1 << step)], self._shard, self._theirs)])
            for step in range(core.bit_length() - 1)
        ]
        if node + core >= layout.node_count:
            return None, steps, None
        extra = twins[node + core]
        return (
            self._exchange(3, [(extra, None, self._theirs)]),
            steps,
            self._exchange(4, [(extra, self._shard, None)]),
        )

    def __call__(self) -> None:
        self._parts[self._me] = self._input
        self._scatter()
        self._shard[...] = node_sum(self._parts, self._combine)
        if self._fold:
            self._fold()
            if not self._folds_away:
                self._add()
        for step in self._steps:
            step()
            self._add()
        if self._unfold:
            self._unfold()
        self._output[...] = (
            average(self._shard, self._problem.layout.size) if self._problem.op == "avg" else self._shard
        )
        self._gather()

    def _add(self) -> None:
        self._shard[...] = pair_sum(self._shard, self._theirs, self._combine)

    def free(self) -> None:
        """Free all requests."""
        for exchange in (self._scatter, self._fold, *self._steps, self._unfold, self._gather):
            if exchange:
                exchange.free()
