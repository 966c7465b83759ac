"""Exchanges and sends with errors; installed by an entry point, like a user's backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from broken_session import AllReduce, Mistake, Session, message
from mpi4py import MPI

from collbench.backends import Array, Call, Device, Problem


@dataclass(frozen=True)
class Copying(AllReduce):
    """A backend for ``collectives`` that copy, with one mistake."""

    mistake: Mistake
    collectives: tuple[str, ...]
    DEVICE: str = "cpu"
    SUMMARY: str = "wrong on purpose"

    def refuses(self, problem: Problem) -> str | None:
        return None if problem.collective.name in self.collectives else f"{' and '.join(self.collectives)} only"

    def open(self, world: Any, device: Device, arena_bytes: int) -> Session:
        return Session(world, device.arena(arena_bytes), self.mistake)


def copy(session: Session, problem: Problem, send: Array, recv: Array) -> None:
    comm = session.world.comm
    given, taken = message(problem, send), message(problem, recv)
    if problem.collective.name == "all_to_all":
        comm.Alltoall(given, taken)
    elif session.world.rank == 0:
        comm.Send(given, 1)
    else:
        comm.Recv(taken, 0)


def _swap(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """What arrives of the first and of the last rank is in each other's place."""

    def call() -> None:
        copy(session, problem, send, recv)
        parts = recv.reshape(problem.layout.size, -1)
        parts[[0, -1]] = parts[[-1, 0]]

    return call


def _turn(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Every rank sends each part to the rank after the one that it is for."""
    ranks = problem.layout.size
    turned = send.copy()

    def call() -> None:
        turned.reshape(ranks, -1)[...] = send.reshape(ranks, -1)[[rank - 1 for rank in range(ranks)]]
        copy(session, problem, turned, recv)

    return call


def _stale(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """What arrives is that of the call before, once there was one."""
    arrived = recv.copy()
    made = [0]

    def call() -> None:
        before = arrived.copy()
        copy(session, problem, send, arrived)
        recv[...] = before if made[0] else arrived
        made[0] += 1

    return call


def _to_itself(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """The message never leaves the sender."""

    def call() -> None:
        if session.world.rank == 0:
            session.world.comm.Isend(message(problem, send), 0).Free()
            session.world.comm.Recv([bytearray(send.nbytes), MPI.BYTE], 0)

    return call


swaps_parts = Copying(_swap, ("all_to_all",))
turns_parts = Copying(_turn, ("all_to_all",))
sends_stale = Copying(_stale, ("all_to_all", "send"))
sends_to_itself = Copying(_to_itself, ("send",))
