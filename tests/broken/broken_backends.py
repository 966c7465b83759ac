"""All-reduces that are wrong in the ways that real ones have been; installed by an entry point, as a user's are."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from collbench.backends.mpi import message
from collbench.device import Array, Call, Device
from collbench.patterns import Emulator
from collbench.plan import Workload

Mistake = Callable[["Session", Workload, Array, Array], Call]


@dataclass(frozen=True)
class Session:
    """An MPI communicator and what is done wrong with it."""

    world: Any
    arena: Array
    mistake: Mistake
    memory: list[Any] = field(default_factory=list)

    def prepare(self, workload: Workload, send: Array, recv: Array) -> Call:
        return self.mistake(self, workload, send, recv)

    def release(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Broken:
    """A backend with one mistake."""

    mistake: Mistake
    DEVICE: str = "cpu"
    SUMMARY: str = "wrong on purpose"

    def missing(self) -> str | None:
        return None

    def refuses(self, workload: Workload) -> str | None:
        return None if workload.collective.name == "all_reduce" else "all-reduce only"

    def emulate(self, workload: Workload) -> Emulator | None:
        return None

    def wire_bytes(self, workload: Workload) -> float | None:
        return None

    def open(self, world: Any, device: Device, arena_bytes: int) -> Session:
        return Session(world, device.arena(arena_bytes), self.mistake)


def _reduce(session: Session, workload: Workload, send: Array, recv: Array) -> None:
    session.world.comm.Allreduce(message(workload, send), message(workload, recv))


def _drop(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """Rank 1 contributes nothing."""
    empty = np.zeros_like(send)
    return lambda: _reduce(session, workload, empty if session.world.rank == 1 else send, recv)


def _double(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """Rank 0 contributes twice."""
    return lambda: _reduce(session, workload, send + send if session.world.rank == 0 else send, recv)


def _tail(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """The last three elements are left alone, as by a division rounded down."""
    return lambda: _reduce(session, workload, send[:-3], recv[:-3])


def _stale(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """Each slot hands out its previous result, once it has one."""
    result, calls = np.empty_like(recv), [0]

    def call() -> None:
        calls[0] += 1
        before = result.copy()
        _reduce(session, workload, send, result)
        recv[...] = before if calls[0] > 3 else result

    return call


def _later(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """Right for the calls that a proof before timing makes, wrong later: element 5 of rank 0 only."""
    calls = [0]

    def call() -> None:
        calls[0] += 1
        _reduce(session, workload, send, recv)
        if calls[0] > 20 and session.world.rank == 0:
            recv[5] += 1

    return call


def _past(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """One element is written behind the output."""
    longer = np.lib.stride_tricks.as_strided(recv, (len(recv) + 1,))

    def call() -> None:
        _reduce(session, workload, send, recv)
        longer[-1] = 1

    return call


def _skip_unchanged(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """Hands out its last answer where the input is that of the call before: fast, where data never changes."""
    memory = session.memory

    def call() -> None:
        if not memory or not np.array_equal(memory[0], send):
            _reduce(session, workload, send, recv)
            memory[:] = [send.copy(), recv.copy()]
        recv[...] = memory[1]

    return call


def _two_late(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """From the fifth call on hands out the answer of the call two before, as one parity taken for the other does."""
    past: list[Any] = session.memory

    def call() -> None:
        _reduce(session, workload, send, recv)
        past.append(recv.copy())
        if len(past) > 4:
            recv[...] = past[-3]
            del past[0]

    return call


def _change_input(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """Leaves a mark in its input."""

    def call() -> None:
        _reduce(session, workload, send, recv)
        send[7] = 0.5

    return call


def _before(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """One element is written before the output."""
    place = np.ctypeslib.as_array((ctypes.c_float * 1).from_address(recv.ctypes.data - recv.itemsize))

    def call() -> None:
        _reduce(session, workload, send, recv)
        place[0] = 1

    return call


def _on_rank_1(action: Callable[[], object]) -> Mistake:
    def mistake(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
        def call() -> None:
            if session.world.rank == 1 and workload.bytes >= 8192:
                action()
            _reduce(session, workload, send, recv)

        return call

    return mistake


def _slow(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    """Right, but rank 1 needs 5 ms more after everyone else is done."""

    def call() -> None:
        _reduce(session, workload, send, recv)
        if session.world.rank == 1:
            time.sleep(0.005)

    return call


def _raise() -> None:
    raise ArithmeticError("planted")


def _refuse(session: Session, workload: Workload, send: Array, recv: Array) -> Call:
    if session.world.rank == 1:
        raise RuntimeError("planted: no resources")
    return lambda: None


drops_a_rank = Broken(_drop)
skips_unchanged = Broken(_skip_unchanged)
two_late = Broken(_two_late)
changes_its_input = Broken(_change_input)
writes_before = Broken(_before)
doubles_a_rank = Broken(_double)
leaves_the_tail = Broken(_tail)
returns_stale = Broken(_stale)
wrong_when_timed = Broken(_later)
writes_past_the_end = Broken(_past)
slow_rank = Broken(_slow)
raises = Broken(_on_rank_1(_raise))
dies = Broken(_on_rank_1(lambda: os.kill(os.getpid(), 9)))
hangs = Broken(_on_rank_1(lambda: time.sleep(600)))
fails_to_prepare = Broken(_refuse)
