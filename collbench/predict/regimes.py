"""Where an alpha-beta model gives NVRAR the speed-up over NCCL that arXiv 2511.09557 measured, and where not.

NCCL is the faster of tree and ring, NVRAR has the paper's volume or its code's; both on the same links. Their speed-up
then depends on the nodes, on n / (alpha beta) of the network, and on how much a step of NCCL costs over one of NVRAR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from collbench.fit.algorithms import Counts, counts_of
from collbench.predict.amdahl import LEAST, MOST
from collbench.tables import Table, numbers, table_of, words

INSIDE = 0.1  # assumed: alpha in a node over that between nodes, and beta between nodes over that in a node
COSTS = (1.0, 1.5, 2.0, 3.0)
VOLUMES = ("nvrar, paper's volume", "nvrar, code's volume")
READING = (
    f"k: what a step of NCCL costs over one of NVRAR. to x: at least {LEAST} up to messages of x times alpha beta of",
    f"the network of one GPU (122 KiB at 5 µs and 25 GB/s); never: below {LEAST} at any size. {MOST} needs k above 1.",
    f"Assumed: in a node alpha is {INSIDE:g} of that between nodes, beta {1 / INSIDE:g} times as large; NCCL has tree",
    "or ring, and uses the networks of all GPUs of a node.",
)
_REACH = [10 ** (step / 50 - 3) for step in range(301)]  # n / (alpha beta) from 0.001 to 1000


@dataclass(frozen=True)
class Regime:
    """NVRAR over NCCL on so many nodes where a step of NCCL costs ``cost`` steps of NVRAR: the speed-up of short
    messages, and the largest n / (alpha beta) with at least LEAST; None where no message has it."""

    volume: str
    nodes: int
    ranks: int
    cost: float
    short: float
    reach: float | None


def time_of(counts: Counts, message: float, cost: float = 1.0) -> float:
    """Steps and bytes as a time in alphas of the network, for a message of n / (alpha beta)."""
    steps = cost * (counts.steps_between + INSIDE * counts.steps_inside)
    return steps + message * (counts.sent_between + INSIDE * counts.sent_inside)


def _spread(counts: Counts, per_node: int) -> Counts:
    """Bytes between nodes over the networks of all GPUs of a node, each with channels of its own."""
    return replace(counts, sent_between=counts.sent_between / per_node)


def speedup(volume: str, ranks: int, nodes: int, message: float, cost: float) -> float:
    """How many times as fast as NCCL NVRAR is for a message of n / (alpha beta)."""
    nccl = (_spread(counts_of("all_reduce", name, ranks, nodes), ranks // nodes) for name in ("tree", "ring"))
    least = min(time_of(counts, message, cost) for counts in nccl)
    return least / time_of(counts_of("all_reduce", volume, ranks, nodes), message)


def regime(volume: str, ranks: int, nodes: int, cost: float) -> Regime:
    """The regime of a world of at least two nodes."""
    found = [each for each in _REACH if speedup(volume, ranks, nodes, each, cost) >= LEAST]
    return Regime(volume, nodes, ranks, cost, speedup(volume, ranks, nodes, 0, cost), max(found, default=None))


def table(nodes: Sequence[int], per_node: int) -> Table:
    """Every number of nodes from two on, both volumes, all COSTS."""
    several = [each for each in nodes if each > 1]
    rows = [_row(volume, each, per_node) for volume in VOLUMES for each in several]
    heads = (*words("volume"), *numbers("nodes", "GPUs"), *numbers(*(f"k = {cost:g}" for cost in COSTS)))
    title = "NVRAR over NCCL by steps and bytes alone: speed-up of short messages, and how far"
    return table_of(title, heads, rows, list(READING))


def _row(volume: str, nodes: int, per_node: int) -> list[str]:
    found = [regime(volume, nodes * per_node, nodes, cost) for cost in COSTS]
    return [volume.removeprefix("nvrar, "), str(nodes), str(nodes * per_node), *map(_cell, found)]


def _cell(found: Regime) -> str:
    reach = "never" if found.reach is None else f"to {found.reach:.2g}" if found.reach < _REACH[-1] else "always"
    return f"{found.short:.2f} {reach}"
