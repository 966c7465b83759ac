"""Kernels of collbench on CPU ranks in a faulty environment; installed by the same entry points."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from collbench import registry
from collbench.backends import Array, Call, Device, Problem
from collbench.kernels import abi
from collbench.ranks import failure


@dataclass(frozen=True)
class Spoilt:
    """The kernel ``name``; ``spoil`` is called before it is opened, and ``wrapped`` wraps its session."""

    name: str
    spoil: Callable[[], None]
    wrapped: Callable[[Any, Any], Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(registry.find(self.name), name)

    def open(self, world: Any, device: Device, arena_bytes: int) -> Any:
        self.spoil()
        return self.wrapped(registry.find(self.name).open(world, device, arena_bytes), world)


@dataclass(frozen=True)
class Deaf:
    """An open kernel, but rank 1 never makes a call of 8 KiB or more."""

    session: Any
    world: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def prepare(self, problem: Problem, send: Array, recv: Array) -> Call:
        call: Call = self.session.prepare(problem, send, recv)
        return (lambda: time.sleep(600)) if self.world.rank == 1 and problem.bytes >= 8192 else call


def _lose_patience() -> None:
    """Soon: kernels give up after 2.5 s, and others are heard for 2 s."""
    failure.HANG_SECONDS = 2.0
    abi.PATIENCE_NS = 2_500_000_000


def _have_room(blocks: int) -> None:
    """So many blocks of 4 KiB of shared memory are free."""
    free = SimpleNamespace(f_bavail=blocks, f_frsize=4096, f_blocks=blocks)
    setattr(os, "statvfs", lambda path: free)  # noqa: B010 - a function


one_rank_deaf = Spoilt("oneshot", _lose_patience, Deaf)
no_room = Spoilt("oneshot", partial(_have_room, 1), lambda session, world: session)
little_room = Spoilt("oneshot", partial(_have_room, 60), lambda session, world: session)
