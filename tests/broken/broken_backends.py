"""All-reduces with errors that real ones have had; installed by an entry point, like a user's backends."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from broken_session import AllReduce, Mistake, Session, message, reduce
from waiting_backends import CLOCK

from collbench.backends import Array, Call, Device, HangError, Problem


@dataclass(frozen=True)
class Broken(AllReduce):
    """A backend with one mistake. ``shared`` is a memory that all its sessions use until one is released;
    ``listens`` observes the calls of the device."""

    mistake: Mistake
    shared: list[Any] | None = None
    listens: Callable[[Device, list[Any]], None] | None = None
    WAYS: dict[str, Any] = field(default_factory=dict)
    in_place: bool = True
    DEVICE: str = "cpu"
    SUMMARY: str = "wrong on purpose"

    def refuses(self, problem: Problem) -> str | None:
        return "never in place" if problem.in_place and not self.in_place else super().refuses(problem)

    def open(self, world: Any, device: Device, arena_bytes: int) -> Session:
        memory: list[Any] = [] if self.shared is None else self.shared
        if self.listens:
            self.listens(device, memory)
        return Session(world, device.arena(arena_bytes), self.mistake, memory, self.shared is not None)


def _drop(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Rank 1 contributes nothing."""
    empty = np.zeros_like(send)
    return lambda: reduce(session, problem, empty if session.world.rank == 1 else send, recv)


def _cross(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Of two groups side by side, each gets the answer of the other."""
    partner = session.world.groups[1 - session.world.number][session.world.rank]

    def call() -> None:
        reduce(session, problem, send, recv)
        session.world.launch.Sendrecv_replace(message(problem, recv), partner, source=partner)

    return call


def _cross_late(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """The first of two groups gets, from its second sample on, what the other had in the sample before."""
    partner = session.world.groups[1 - session.world.number][session.world.rank]
    past: list[Array] = []

    def call() -> None:
        reduce(session, problem, send, recv)
        past.append(np.empty_like(recv))
        ours, theirs = message(problem, recv), message(problem, past[-1])
        session.world.launch.Sendrecv(ours, partner, recvbuf=theirs, source=partner)
        if session.world.number == 0 and len(past) > 1:
            recv[...] = past[-2]

    return call


def _double(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Rank 0 contributes twice."""
    return lambda: reduce(session, problem, send + send if session.world.rank == 0 else send, recv)


def _tail(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """The last three elements are not written, as by a division rounded down."""
    return lambda: reduce(session, problem, send[:-3], recv[:-3])


def _stale(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Each slot returns its previous result, once it has one."""
    result, calls = np.empty_like(recv), [0]

    def call() -> None:
        calls[0] += 1
        before = result.copy()
        reduce(session, problem, send, result)
        recv[...] = before if calls[0] > 3 else result

    return call


def _later(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Right for the calls that a proof before timing makes, wrong later: element 5 of rank 0 only."""
    calls = [0]

    def call() -> None:
        calls[0] += 1
        reduce(session, problem, send, recv)
        if calls[0] > 20 and session.world.rank == 0:
            recv[5] += 1

    return call


def _past(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """One element is written past the output."""
    longer = np.lib.stride_tricks.as_strided(recv, (len(recv) + 1,))

    def call() -> None:
        reduce(session, problem, send, recv)
        longer[-1] = 1

    return call


@dataclass(frozen=True)
class Noting:
    """A call whose row includes ``params``; implements ``DescribedCall``."""

    call: Call
    params: dict[str, str]
    wire_bytes: float | None = None
    marked: None = None

    def __call__(self) -> object:
        return self.call()


def _skip_unchanged(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Returns its last answer where the input equals that of the previous call; its row counts these calls."""
    memory = session.memory
    if not memory:
        memory.append({"skipped": "0"})

    def call() -> None:
        if len(memory) > 1 and np.array_equal(memory[1], send):
            memory[0]["skipped"] = str(int(memory[0]["skipped"]) + 1)
        else:
            reduce(session, problem, send, recv)
            memory[1:] = [send.copy(), recv.copy()]
        recv[...] = memory[2]

    return Noting(call, memory[0])


def _two_late(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """From the fifth call on returns the answer of two calls before, as by mixing up the halves of the scratch."""
    past: list[Any] = session.memory

    def call() -> None:
        reduce(session, problem, send, recv)
        past.append(recv.copy())
        if len(past) > 4:
            recv[...] = past[-3]
            del past[0]

    return call


def _change_input(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Leaves a mark in its input."""

    def call() -> None:
        reduce(session, problem, send, recv)
        send[7] = 0.5

    return call


def _before(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """One element is written before the output."""
    place = np.ctypeslib.as_array((ctypes.c_float * 1).from_address(recv.ctypes.data - recv.itemsize))

    def call() -> None:
        reduce(session, problem, send, recv)
        place[0] = 1

    return call


def _on_rank_1(action: Callable[[], object]) -> Mistake:
    def mistake(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
        def call() -> None:
            if session.world.rank == 1 and problem.bytes >= 8192:
                action()
            reduce(session, problem, send, recv)

        return call

    return mistake


def _give_up(rank: int, seconds: float) -> None:
    """As a kernel does that waits for its peers in vain; the higher the rank, the fewer calls it has made. Others are
    heard for so many ``seconds``."""
    from collbench.ranks import failure

    failure.HANG_SECONDS = seconds
    time.sleep(0.4 if rank == 0 else 0)  # rank 0 is the last to be out of patience, and must be heard nevertheless
    raise HangError(f"rank {rank} waited in call {100 - rank}", 100 - rank)


def _all_give_up(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """The spins of all ranks give up."""

    def call() -> None:
        if problem.bytes >= 8192:
            _give_up(session.world.rank, seconds=4.0)
        reduce(session, problem, send, recv)

    return call


def _slow(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Right, but by the clock rank 1 needs 5 ms more than the others."""

    def call() -> None:
        reduce(session, problem, send, recv)
        if session.world.rank == 1:
            CLOCK.now += 0.005

    return call


def _right(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    return lambda: reduce(session, problem, send, recv)


def _misaligned(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """The last element is not written where the input is not aligned, as by a loop over vectors."""
    end = -1 if send.ctypes.data % 64 else None
    return lambda: reduce(session, problem, send[:end], recv[:end])


def _output_misaligned(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """The last element is not written where the output alone is not aligned."""
    end = -1 if recv.ctypes.data % 64 and not send.ctypes.data % 64 else None
    return lambda: reduce(session, problem, send[:end], recv[:end])


def _ahead(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Reads its input before the previous call has written it, as a kernel that does not wait for the one before."""
    early: dict[int, Array] = {}
    session.memory.append((send, early))
    number = len(session.memory)  # of the next call

    def call() -> None:
        if number < len(session.memory) and np.shares_memory(session.memory[number][0], recv):
            session.memory[number][1][0] = recv.copy()
        reduce(session, problem, early.get(0, send), recv)

    return call


def _after_larger(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Wrong after a larger message, whose remainder is still in its scratch memory."""

    def call() -> None:
        reduce(session, problem, send, recv)
        if session.memory and session.memory[-1] > problem.bytes:
            recv[-1] += 1
        session.memory.append(problem.bytes)

    return call


def _mixed_up(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Wrong where the previous call used another communicator: they share their flags."""

    def call() -> None:
        reduce(session, problem, send, recv)
        if session.memory and session.memory[-1] is not session:
            recv[0] += 1
        session.memory.append(session)

    return call


def _drop_nan(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """NaN is ignored, as where it marks a flag or a missing value."""
    return lambda: reduce(session, problem, np.where(np.isnan(send), np.zeros_like(send), send), recv)


def _own_order(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Every rank adds in a different order: within any bound, but not the same bits."""
    everyone = np.empty((problem.layout.size, len(send)), send.dtype)

    def call() -> None:
        session.world.comm.Allgather(message(problem, send), message(problem, everyone))
        turned = np.roll(everyone, -session.world.rank, axis=0)
        recv[...] = turned[0]
        for part in turned[1:]:
            recv[...] += part

    return call


def _hear_delays(device: Device, memory: list[Any]) -> None:
    wait = device.hold_back

    def hold_back(seconds: float) -> None:
        memory.append(seconds)
        wait(seconds)

    setattr(device, "hold_back", hold_back)  # noqa: B010 - a method, which the type checker would not let us replace


def _impatient(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """A rank that is half a millisecond ahead of another does not wait for it."""

    def call() -> None:
        late = session.world.comm.allgather(sum(session.memory))
        session.memory.clear()
        reduce(session, problem, send, recv)
        if late[session.world.rank] < max(late) - 5e-4:
            recv[0] += 1

    return call


def _hear_recordings(device: Device, memory: list[Any]) -> None:
    record = device.recorded

    def recorded(calls: Any) -> Any:
        memory.append("recorded")
        return record(calls)

    setattr(device, "recorded", recorded)  # noqa: B010 - as above


def _baked_in(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """Once recorded, it returns the answer of the first replay in every later one."""
    first: list[Array] = []

    def call() -> None:
        reduce(session, problem, send, recv)
        if session.memory:
            first.append(recv.copy())
            recv[...] = first[0]

    return call


def _read_late(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """A call is still reading its input when the next one begins."""

    def call() -> None:
        for earlier in session.memory:
            earlier()
        session.memory[:] = [lambda: reduce(session, problem, send, recv)]
        session.memory[0]()

    return call


def _write_twice(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    """A call writes its answer again when the next one is complete."""

    def call() -> None:
        reduce(session, problem, send, recv)
        for output, answer in session.memory:
            output[...] = answer
        session.memory[:] = [(recv, recv.copy())]

    return call


def _raise() -> None:
    raise ArithmeticError("planted")


def _refuse(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    if session.world.rank == 1:
        raise RuntimeError("planted: no resources")
    return lambda: None


drops_a_rank = Broken(_drop)
crosses_groups = Broken(_cross)
crosses_groups_late = Broken(_cross_late)
skips_unchanged = Broken(_skip_unchanged)
two_late = Broken(_two_late, shared=[])
changes_its_input = Broken(_change_input)
writes_before = Broken(_before)
doubles_a_rank = Broken(_double)
leaves_the_tail = Broken(_tail)
returns_stale = Broken(_stale)
wrong_when_timed = Broken(_later)
writes_past_the_end = Broken(_past)
wrong_if_misaligned = Broken(_misaligned)
wrong_if_output_misaligned = Broken(_output_misaligned)
reads_ahead = Broken(_ahead, shared=[], in_place=False)
wrong_after_larger = Broken(_after_larger, shared=[])
mixes_up_communicators = Broken(_mixed_up, shared=[])
drops_nan = Broken(_drop_nan)
adds_in_its_own_order = Broken(_own_order)
impatient = Broken(_impatient, shared=[], listens=_hear_delays)
bakes_in_its_input = Broken(_baked_in, shared=[], listens=_hear_recordings)
reads_late = Broken(_read_late, shared=[], in_place=False)
writes_twice = Broken(_write_twice, shared=[], in_place=False)
wrong_one_way = Broken(_right, WAYS={"by another path": Broken(_drop).open})
slow_rank = Broken(_slow, listens=lambda device, memory: CLOCK.install())
raises = Broken(_on_rank_1(_raise))
dies = Broken(_on_rank_1(lambda: os.kill(os.getpid(), 9)))
hangs = Broken(_on_rank_1(lambda: time.sleep(600)))
gives_up = Broken(_all_give_up)
gives_up_alone = Broken(_on_rank_1(lambda: _give_up(1, seconds=0.5)))
fails_to_prepare = Broken(_refuse)
