"""Backends whose calls take as long as their parameter says, by a clock of their own; installed by entry points."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from broken_session import AllReduce, Mistake, Session, reduce

from collbench.backends import Array, Call, Device, Problem, pick


class Clock:
    """A clock that advances by a microsecond per reading and by what calls add, so that load does not change results.

    After ``install`` this rank measures with it.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.sleep = time.sleep

    def perf_counter(self) -> float:
        self.now += 1e-6
        return self.now

    def install(self) -> None:
        from collbench.devices import cpu
        from collbench.measure import timing

        for module in (cpu, timing):
            vars(module)["time"] = self


CLOCK = Clock()


@dataclass(frozen=True)
class Waiting(AllReduce):
    """Right, but by its own clock each call takes ``ms`` milliseconds; with 0 a call does nothing. ``choices`` are its
    candidates when tuned, the default first."""

    name: str
    choices: tuple[str, ...]
    ms: float = 5.0
    DEVICE: str = "cpu"
    SUMMARY: str = "as slow as its parameter says"

    def configured(self, parameters: dict[str, str]) -> Waiting:
        for key in parameters:
            pick(f"parameter of {self.name}", key, ["ms"])
        return replace(self, ms=float(parameters["ms"]))

    def candidates(self, problem: Problem) -> tuple[str, ...]:
        return tuple(f"{self.name}:ms={each}" for each in self.choices) if problem.bytes >= 4096 else (self.name,)

    def open(self, world: Any, device: Device, arena_bytes: int) -> Session:
        CLOCK.install()
        return Session(world, device.arena(arena_bytes), _wait(self.ms) if self.ms else _do_nothing)


def _wait(ms: float) -> Mistake:
    def mistake(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
        def call() -> None:
            reduce(session, problem, send, recv)
            CLOCK.now += ms / 1000

        return call

    return mistake


def _do_nothing(session: Session, problem: Problem, send: Array, recv: Array) -> Call:
    return lambda: None


waits = Waiting("waits", ("10", "1", "12"))
even = Waiting("even", ("3", "3.0", "3.00"))
cheats = Waiting("cheats", ("10", "0", "1"))


@dataclass(frozen=True)
class Again(AllReduce):
    """Right, on the real clock."""

    DEVICE: str = "cpu"
    SUMMARY: str = "the MPI library's all-reduce"

    def open(self, world: Any, device: Device, arena_bytes: int) -> Session:
        return Session(world, device.arena(arena_bytes), _wait(0.0))


once, again = Again(), Again()
