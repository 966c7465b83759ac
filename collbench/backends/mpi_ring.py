"""The classical ring all-reduce over MPI point-to-point, as a baseline for NVRAR's schedule.

P ranks form a ring, node after node, so that one link enters each node and one leaves it. The message of S bytes is
cut into P chunks, and each rank sends to the next one only:

1. Reduce-scatter, P - 1 steps: chunk c starts at place c, and every place that receives it adds its own part, 16-bit
   floats in fp32 with one rounding per step. The place before c completes it.
2. All-gather, P - 1 steps: the complete chunks pass around the ring.

Each rank sends 2 (P-1)/P S bytes, the least of any all-reduce, but its 2 (P-1) steps depend on each other, so its
latency grows with P. Every chunk is reduced in one order and then copied, so all ranks obtain the same bits.
Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collbench.backends import ExactOrder
from collbench.backends._point_to_point import (
    Exchange,
    PointToPointSession,
    average,
    combine_of,
    open_session,
    pair_sum,
)
from collbench.devices.device import Device, Values
from collbench.plan.problem import Problem
from collbench.plan.refusals import other_collective

if TYPE_CHECKING:
    from collbench.ranks.world import World

DEVICE = "cpu"
ONLY = ("all_reduce", "all_reduce_rms_norm")
SUMMARY = "the ring all-reduce (reduce-scatter, all-gather) over MPI point-to-point, host memory"
REDUCE_TAG, GATHER_TAG = 1, 2


def missing() -> str | None:
    """None: this process runs under MPI."""
    return None


def refuses(problem: Problem) -> str | None:
    """Why it cannot run ``problem``, or None: it is an all-reduce, on any layout."""
    return other_collective("the ring", problem)


def exact_order(problem: Problem) -> ExactOrder | None:
    """None: the order depends on an element's position in the message, which an ``ExactOrder`` does not receive."""
    return None


def wire_bytes(problem: Problem) -> float | None:
    """Bytes that each rank sends per call, where the chunks are equal."""
    ranks = problem.layout.size
    return problem.bytes * 2 * (ranks - 1) / ranks


def open(world: World, device: Device, arena_bytes: int) -> PointToPointSession:
    """A session with one schedule per call."""
    return open_session(world, device, arena_bytes, Ring)


@dataclass(frozen=True)
class Hop:
    """One step of the reduce-scatter: an exchange, after which ``total`` is ``theirs`` and ``mine`` combined."""

    exchange: Exchange
    theirs: Values
    mine: Values
    total: Values


class Ring:
    """One all-reduce from ``send`` to ``recv`` (possibly the same buffer), prepared once and run repeatedly."""

    def __init__(self, comm: Any, problem: Problem, send: Values, recv: Values) -> None:
        ring = sorted(range(problem.layout.size), key=problem.layout.nodes.__getitem__)
        self._place, self._size = ring.index(comm.Get_rank()), len(ring)
        self._before, self._after = ring[self._place - 1], ring[(self._place + 1) % self._size]
        self._comm, self._problem, self._combine = comm, problem, combine_of(problem.op)
        self._send, self._recv = send, recv
        self._complete = recv[self._chunk(1)]
        self._hops = self._reduce_scatter()
        self._copies = self._all_gather()

    def _chunk(self, ahead: int) -> slice:
        """The chunk that starts ``ahead`` places after this one."""
        number = (self._place + ahead) % self._size
        return slice(*(self._problem.count * edge // self._size for edge in (number, number + 1)))

    def _exchange(self, tag: int, given: Values, taken: Values) -> Exchange:
        return Exchange(self._comm, self._problem, tag, [(self._after, given, None), (self._before, None, taken)])

    def _reduce_scatter(self) -> list[Hop]:
        import numpy as np

        arrived = np.empty(-(-self._problem.count // self._size), self._recv.dtype)
        hops = []
        for step in range(self._size - 1):
            given, taken = self._chunk(-step), self._chunk(-step - 1)
            theirs = arrived[: taken.stop - taken.start]
            exchange = self._exchange(REDUCE_TAG, self._recv[given] if step else self._send[given], theirs)
            hops.append(Hop(exchange, theirs, self._send[taken], self._recv[taken]))
        return hops

    def _all_gather(self) -> list[Exchange]:
        return [
            self._exchange(GATHER_TAG, self._recv[self._chunk(1 - step)], self._recv[self._chunk(-step)])
            for step in range(self._size - 1)
        ]

    def __call__(self) -> None:
        for hop in self._hops:
            hop.exchange()
            hop.total[...] = pair_sum(hop.theirs, hop.mine, self._combine)
        if self._problem.op == "avg":
            self._complete[...] = average(self._complete, self._size)
        for copy in self._copies:
            copy()

    def free(self) -> None:
        """Free all requests."""
        for exchange in (*(hop.exchange for hop in self._hops), *self._copies):
            exchange.free()
