"""Which kernel a problem without a tuned entry gets between nodes that only puts reach: a rule of trips and bytes.

Every step between nodes costs a trip and the bytes that a rank sends. Few trips suit small shards, few bytes large
ones; where they cross depends on the network's delay times its bandwidth, and the tuned table knows better.
"""

from __future__ import annotations

from collections.abc import Sequence

from collbench.kernels.formula import value
from collbench.kernels.kernel import Kernel
from collbench.plan.problem import Problem

# Bytes that a rank can send in the time of one trip: 5 us at 50 GB/s, 10 us at 25 GB/s, or 210 us at 10 Gbit/s. Not
# tuned.
BYTES_OF_A_TRIP = 250_000


def trips(name: str, nodes: int) -> int:
    """Trips between nodes, one after another, of the kernel ``name``; folding nodes in and out takes two."""
    steps = nodes.bit_length() - 1
    folding = 2 * (nodes > 1 << steps)
    return {"nvrar-put-oneshot": min(steps, 1), "nvrar-put-halving": 2 * steps + folding}.get(name, steps + folding)


def network_bytes(kernel: Kernel, problem: Problem) -> float:
    """Bytes that the busiest rank sends to other nodes, flags included: those of a shard on nodes of one rank."""
    nodes, shard = problem.layout.node_count, problem.bytes / (problem.layout.per_node or 1)
    return value(kernel.file.wire, P=nodes, G=1, N=nodes, S=shard) * (2 if kernel.flagged(problem) else 1)


def quickest(kernels: Sequence[Kernel], problem: Problem) -> str:
    """The name of the kernel that is quickest by the rule; the first of equals."""

    def cost(kernel: Kernel) -> float:
        return trips(kernel.file.name, problem.layout.node_count) * BYTES_OF_A_TRIP + network_bytes(kernel, problem)

    return min(kernels, key=cost).file.name
