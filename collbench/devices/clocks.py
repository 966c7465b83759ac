"""A start that ranks agree on by their clocks: on all of them at the same time, however far apart their hosts are."""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collbench.ranks.world import World

PINGS, AGREEMENTS = 30, 9


def clock_offset(world: World) -> float:
    """Seconds to add to this rank's clock to get rank 0's.

    Ranks of one host share CLOCK_MONOTONIC, so the offset is 0. Between hosts it is estimated from the fastest of
    PINGS round trips, with an error of at most half that trip (Cristian, 1989).
    """
    if world.is_local:
        return 0.0
    offset = 0.0
    for rank in range(1, world.size):
        if world.rank == 0:
            for _ in range(PINGS):
                world.comm.recv(source=rank)
                world.comm.send(time.perf_counter(), dest=rank)
        elif world.rank == rank:
            offset = _ask_offset(world)
    return offset


def _ask_offset(world: World) -> float:
    trips = []
    for _ in range(PINGS):
        sent = time.perf_counter()
        world.comm.send(None, dest=0)
        theirs = world.comm.recv(source=0)
        back = time.perf_counter()
        trips.append((back - sent, theirs - (sent + back) / 2))
    return float(min(trips)[1])


class Agreement:
    """Agrees on starts among the ranks of a world: the latest clock of all plus a margin, since ranks leave the
    agreement at different times. Creating it is collective."""

    def __init__(self, world: World) -> None:
        from mpi4py import MPI

        self._world, self._latest = world, MPI.MAX
        self._offset = clock_offset(world)
        self._out = np.empty(1)
        self._margin = 0.0
        self._margin = 2 * statistics.median(self._seconds() for _ in range(AGREEMENTS))

    def start(self) -> float:
        """The next start, in seconds on this rank's ``time.perf_counter``; collective."""
        now = np.array([time.perf_counter() + self._offset + self._margin])
        self._world.comm.Allreduce(now, self._out, op=self._latest)
        return float(self._out[0]) - self._offset

    def allow_more(self) -> None:
        """Leave twice the time from the next agreement to its start: on this rank it was too short."""
        self._margin *= 2

    def _seconds(self) -> float:
        begin = time.perf_counter()
        self.start()
        took = np.array([time.perf_counter() - begin])
        return float(self._world.highest(took)[0])


def wait_until(start: float) -> None:
    """Wait until ``time.perf_counter`` is at ``start``, at once where that has passed."""
    while time.perf_counter() < start:
        os.sched_yield()  # ranks may outnumber cores
