"""Which kernel a problem without a tuned entry gets between nodes that only puts reach: a rule of trips and bytes.

Every step between nodes costs a trip and the bytes that a rank sends. Few trips suit small shards, few bytes large
ones; where they cross depends on the network's delay times its bandwidth, and the tuned table knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from collbench.host.transports import families
from collbench.kernels.formula import value
from collbench.kernels.kernel import Kernel
from collbench.plan.problem import Problem

# Bytes that a rank can send in the time of one trip between nodes, by network: the latency of a step and the bandwidth
# of a port for each GPU as in the profiles of links (``fit.profiles``), 7.4 us at 23 GB/s and 5 us at 46 GB/s, which
# nobody has measured with these kernels. Elsewhere 210 us at 10 Gbit/s, rounded.
BYTES_OF_A_TRIP: Mapping[str, int] = MappingProxyType({"slingshot": 171_000, "infiniband": 230_000})
ELSEWHERE = 250_000


def bytes_of_a_trip(transport: str) -> int:
    """Bytes that a rank can send over ``transport`` in the time of a trip."""
    return min((BYTES_OF_A_TRIP.get(network, ELSEWHERE) for network in families(transport)), default=ELSEWHERE)


def trips(name: str, nodes: int) -> int:
    """Trips between nodes, one after another, of the kernel ``name``; folding nodes in and out takes two."""
    steps = nodes.bit_length() - 1
    folding = 2 * (nodes > 1 << steps)
    if name.startswith("nvrar-put-oneshot"):
        return min(steps, 1)
    return 2 * steps + folding if name == "nvrar-put-halving" else steps + folding


def network_bytes(kernel: Kernel, problem: Problem) -> float:
    """Bytes that the busiest rank sends to other nodes, flags included: those of a shard on nodes of one rank."""
    nodes, shard = problem.layout.node_count, problem.bytes / (problem.layout.per_node or 1)
    return value(kernel.file.wire, P=nodes, G=1, N=nodes, S=shard) * (2 if kernel.flagged(problem) else 1)


def _cost(name: str, kernel: Kernel, problem: Problem) -> tuple[int, float]:
    return trips(name, problem.layout.node_count), network_bytes(kernel, problem)


def promising(kernels: Mapping[str, Kernel], problem: Problem) -> list[Kernel]:
    """Of kernels by their names, those that the rule may choose: no other that runs wherever they do takes as few trips
    and sends as few bytes, but for those behind them. Cells without flags do not run over every network."""
    costs = {name: _cost(name, kernel, problem) for name, kernel in kernels.items()}
    places = {name: place for place, name in enumerate(kernels)}

    def beats(one: str, other: str) -> bool:
        runs = kernels[one].file.cell in ("ll", kernels[other].file.cell)
        no_more = all(mine <= theirs for mine, theirs in zip(costs[one], costs[other], strict=True))
        return runs and no_more and (costs[one] != costs[other] or places[one] < places[other])

    return [kernel for name, kernel in kernels.items() if not any(beats(other, name) for other in kernels)]


def quickest(kernels: Mapping[str, Kernel], problem: Problem, transport: str) -> str:
    """The name of the kernel that is quickest over ``transport`` by the rule; the first of equals."""
    trip = bytes_of_a_trip(transport)

    def time(name: str) -> float:
        steps, sent = _cost(name, kernels[name], problem)
        return steps * trip + sent

    return min(kernels, key=time)
