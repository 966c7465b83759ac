"""Backends that misbehave in one method, on rank 1; installed by entry points.

A name says where and how: ``open-hangs``, ``call-exits``. To add one, name it in entry_points.txt; `tests/faults` then
expects that it loses its own rows and no others.
"""

from __future__ import annotations

import os
import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broken_session import AllReduce, Session, reduce

from collbench.backends import Array, Call, Device, Problem


def _raise() -> None:
    raise ArithmeticError("planted")


def _print() -> None:
    print("planted on stdout")
    os.write(1, b"planted on descriptor 1\n")


HOW: dict[str, Callable[[], object]] = {
    "raises": _raise,
    "exits": lambda: os._exit(7),
    "leaves": lambda: os._exit(0),
    "crashes": lambda: os.kill(os.getpid(), 11),
    "hangs": lambda: time.sleep(600),
    "quits": lambda: (_ for _ in ()).throw(SystemExit(3)),
    "prints": _print,
    "fills": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)),  # as on a full disk; on rank 0, which writes
}


@dataclass(frozen=True)
class Tricky:
    """A session that misbehaves in ``where``: prepare, call, release or close."""

    session: Session
    where: str
    act: Callable[[], object]

    @property
    def arena(self) -> Array:
        return self.session.arena

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        self._at("prepare")

        def call() -> None:
            self._at("call")
            reduce(self.session, problem, send, recv)

        return call

    def release(self) -> None:
        self._at("release")
        if any(frame.name == "_run_group" for frame in traceback.extract_stack(limit=4)):  # after the last sample
            self._at("finish")

    def close(self) -> None:
        self._at("close")

    def _at(self, where: str) -> None:
        if where == self.where and self.session.world.rank == (0 if self.act is HOW["fills"] else 1):
            self.act()


@dataclass(frozen=True)
class Misbehaving(AllReduce):
    """Right, until ``where``, where rank 1 does what ``how`` says."""

    where: str
    how: str
    DEVICE: str = "cpu"
    SUMMARY: str = "misbehaves on purpose"

    def open(self, world: Any, device: Device, arena_bytes: int) -> Tricky:
        act = HOW[self.how]
        if self.where == "open" and world.rank == 1:
            act()
        session = Session(world, device.arena(arena_bytes), lambda session, problem, send, recv: lambda: None)
        return Tricky(session, self.where, act)


def __getattr__(name: str) -> Misbehaving:
    """``open_hangs`` and the like."""
    where, how = name.split("_")
    return Misbehaving(where, how)
