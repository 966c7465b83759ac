"""NVRAR's schedule over MPI point-to-point: the readable reference for the kernels, on any number of nodes.

With G ranks per node and N nodes, for a message of S bytes:

1. Reduce-scatter in the node: rank g collects shard g (S/G bytes) of its G local ranks and adds them in the order
   of their local index, 16-bit floats in fp32 with one rounding at the end.
2. Between nodes, the ranks of the same local index add up their shards, in one of the ways of ``_between_nodes``. By
   default that is recursive doubling: in step k the shard is exchanged with node ``n xor 2**k`` and added, with one
   rounding per step. Where N is not a power of two, the nodes beyond the largest one first fold their shards into a
   partner and receive the result from it at the end.
3. All-gather in the node.

Each rank sends 2 (G-1)/G S bytes inside its node and, by doubling, ceil(log2 N) S/G between nodes at most. Addition of
two numbers commutes, so all ranks obtain the same bits. Source: arXiv 2511.09557.

``between=one-shot``, ``two-shot`` or ``halving`` is another way in phase 2. ``between=by-size`` is, for each message,
the way whose trips, messages and bytes take the least time where a trip takes as long as sending ``trip`` bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from collbench.backends import ExactOrder, UsageError, pick
from collbench.backends._between_nodes import SCHEDULES, Twins, doubling_nodes, pieces, quickest
from collbench.backends._point_to_point import (
    Exchange,
    PointToPointSession,
    average,
    combine_of,
    node_sum,
    open_session,
    pair_sum,
    sum_of_nodes,
)
from collbench.devices.device import Device, Values
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.plan.refusals import other_collective, uneven_nodes
from collbench.plan.sizes import parse_size

if TYPE_CHECKING:
    from collbench.ranks.world import World

DOUBLING, BY_SIZE = "doubling", "by-size"
TRIP_BYTES = 256 << 10  # about 200 us at 10 Gbit/s, as over TCP between hosts


def three_phases(inputs: Values, layout: Layout, op: str) -> Values:
    """The bit-exact result with doubling or halving, shape (n,), for inputs of shape (ranks, n)."""
    return _finished(node_sum(last_addends(inputs, layout, op), combine_of(op)), layout, op)


def node_by_node(inputs: Values, layout: Layout, op: str) -> Values:
    """The bit-exact result with one-shot or two-shot, shape (n,), for inputs of shape (ranks, n)."""
    return _finished(sum_of_nodes(inputs, layout, op), layout, op)


def _finished(total: Values, layout: Layout, op: str) -> Values:
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


@dataclass(frozen=True)
class MpiNvrar:
    """The schedule with one way between nodes, of ``SCHEDULES`` or BY_SIZE, where a trip takes as long as sending
    ``trip_bytes``."""

    between: str = DOUBLING
    trip_bytes: int = TRIP_BYTES
    DEVICE: str = "cpu"
    ONLY: tuple[str, ...] = ("all_reduce", "all_reduce_rms_norm")
    SUMMARY: str = "NVRAR's schedule over MPI point-to-point, host memory: the readable reference"

    def configured(self, parameters: dict[str, str]) -> MpiNvrar:
        """With ``between=WAY``, and with ``trip=SIZE`` for ``between=by-size``; raises UsageError for others."""
        between = pick("between", parameters.get("between", self.between), (*SCHEDULES, BY_SIZE))
        known = {"between", "trip"} if between == BY_SIZE else {"between"}
        if spare := sorted(parameters.keys() - known):
            raise UsageError(f"mpi-nvrar takes between, and trip with between={BY_SIZE}; omit {', '.join(spare)}.")
        trip_bytes = parse_size(parameters["trip"]) if "trip" in parameters else self.trip_bytes
        return MpiNvrar(between, trip_bytes)

    def missing(self) -> str | None:
        """None: this process runs under MPI."""
        return None

    def refuses(self, problem: Problem) -> str | None:
        """Why it cannot run ``problem``, or None: it is an all-reduce on nodes of equal size."""
        return other_collective("NVRAR", problem) or uneven_nodes("NVRAR", problem)

    def way(self, problem: Problem) -> str:
        """The name of the way between nodes."""
        if self.between != BY_SIZE:
            return self.between
        return quickest(problem.layout.node_count, _shard_bytes(problem), self.trip_bytes)

    def wire_bytes(self, problem: Problem) -> float | None:
        """Bytes that the busiest rank sends per call."""
        inside = 2 * ((problem.layout.per_node or 1) - 1)
        between = SCHEDULES[self.way(problem)].cost(problem.layout.node_count)
        return _shard_bytes(problem) * (inside + between.shards)

    def exact_order(self, problem: Problem) -> ExactOrder | None:
        """The order of the three phases."""
        order = three_phases if SCHEDULES[self.way(problem)].in_pairs else node_by_node
        return partial(order, layout=problem.layout, op=problem.op)

    def open(self, world: World, device: Device, arena_bytes: int) -> PointToPointSession:
        """A session with one schedule per call."""
        return open_session(world, device, arena_bytes, self.prepare)

    def prepare(self, comm: Any, problem: Problem, send: Values, recv: Values) -> ThreePhases:
        """One all-reduce from ``send`` to ``recv``."""
        return ThreePhases(comm, problem, send, recv, self.way(problem))


def _shard_bytes(problem: Problem) -> float:
    return problem.bytes / (problem.layout.per_node or 1)


PRESENT = MpiNvrar()
DEVICE, ONLY, SUMMARY = PRESENT.DEVICE, PRESENT.ONLY, PRESENT.SUMMARY
configured, missing, refuses = PRESENT.configured, PRESENT.missing, PRESENT.refuses
exact_order, wire_bytes = PRESENT.exact_order, PRESENT.wire_bytes
open = PRESENT.open


class ThreePhases:
    """One all-reduce from ``send`` to ``recv`` (possibly the same buffer), prepared once and run repeatedly; implements
    ``DescribedCall``."""

    marked = None
    wire_bytes = None  # the backend states them

    def __init__(self, comm: Any, problem: Problem, send: Values, recv: Values, way: str = DOUBLING) -> None:
        import numpy as np

        layout, rank = problem.layout, comm.Get_rank()
        self._problem, self._combine, self._way = problem, combine_of(problem.op), way
        by_node = [[each for each in range(layout.size) if layout.nodes[each] == n] for n in range(layout.node_count)]
        node = layout.nodes[rank]
        local = by_node[node]
        me = local.index(rank)
        shards = pieces(problem.count, len(local))
        self._shard = recv[shards[me]]  # in which the sum of the node becomes that of all
        self._parts = [np.empty_like(self._shard) for _ in local]
        self._parts[me] = send[shards[me]]
        peers = [(index, local[index]) for index in (*range(me + 1, len(local)), *range(me))]
        twins = Twins(comm, problem, [each[me] for each in by_node], node, self._shard, self._combine)
        self._scatter = Exchange(comm, problem, 1, [(peer, send[shards[i]], self._parts[i]) for i, peer in peers])
        self._between = SCHEDULES[way].make(twins)
        self._gather = Exchange(comm, problem, 2, [(peer, self._shard, recv[shards[i]]) for i, peer in peers])

    @property
    def params(self) -> dict[str, str]:
        """The way between nodes, where there are several."""
        return {"between": self._way} if self._problem.layout.node_count > 1 else {}

    def __call__(self) -> None:
        self._scatter()
        self._shard[...] = node_sum(self._parts, self._combine)
        self._between()
        if self._problem.op == "avg":
            self._shard[...] = average(self._shard, self._problem.layout.size)
        self._gather()

    def free(self) -> None:
        """Free all requests."""
        for exchange in (self._scatter, *self._between.exchanges, self._gather):
            exchange.free()
