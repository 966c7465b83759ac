"""Heartbeats: what each rank of a host is doing and when it was last alive, in memory that these ranks share.

A thread of each rank writes them, so that a rank that waits differs from one that is stopped or gone.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from collbench.ranks.world import World

_SLOT = 2048  # bytes per rank: the time, the lengths of the texts, the texts
_TEXT = 500
_HEAD = struct.Struct("<d4I")


@dataclass(frozen=True)
class Heartbeat:
    """A rank's last sign of life: seconds of CLOCK_MONOTONIC, 0 before the first; the step that it is in, and where in
    the code it is. If it is about to end the job: the status of the row of the case, and the reason."""

    rank: int
    seconds: float = 0.0
    doing: str = ""
    place: str = ""
    status: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Heartbeats:
    """The heartbeats of the ``ranks`` of this host."""

    ranks: tuple[int, ...]
    memory: mmap.mmap

    def write(self, beat: Heartbeat) -> None:
        """Record the heartbeat of ``beat.rank``."""
        texts = [text.encode()[:_TEXT] for text in (beat.doing, beat.place, beat.status, beat.reason)]
        at, body = self.ranks.index(beat.rank) * _SLOT, b"".join(texts)
        self.memory[at + _HEAD.size : at + _HEAD.size + len(body)] = body  # before the lengths by which it is read
        self.memory[at : at + _HEAD.size] = _HEAD.pack(beat.seconds, *map(len, texts))

    def read(self) -> list[Heartbeat]:
        """The last heartbeat of every rank of this host."""
        return [self._one(number, rank) for number, rank in enumerate(self.ranks)]

    def _one(self, number: int, rank: int) -> Heartbeat:
        slot = self.memory[number * _SLOT : (number + 1) * _SLOT]
        seconds, *lengths = _HEAD.unpack_from(slot)
        texts, at = [], _HEAD.size
        for length in lengths:
            texts.append(slot[at : at + length].decode(errors="replace"))
            at += length
        return Heartbeat(rank, seconds, *texts)


def open_heartbeats(everyone: World) -> Heartbeats:
    """The heartbeats of this rank's host; collective over the launch.

    A rank that cannot share memory with the others, as in a container of its own, sees only itself.
    """
    me = everyone.launch.Get_rank()
    ranks = tuple(rank for rank, host in enumerate(everyone.hosts) if host == everyone.hosts[me])
    mine = _new_file(len(ranks) * _SLOT) if me == ranks[0] else None
    path = everyone.launch.allgather(mine)[ranks[0]]
    memory = _mapped(path, len(ranks) * _SLOT)
    everyone.launch.Barrier()
    if mine is not None:
        Path(mine).unlink(missing_ok=True)  # the mappings keep it
    return Heartbeats(ranks, memory)


def _new_file(size: int) -> str | None:
    """A temporary file with ``size`` bytes of space, None where there is no room for it."""
    with suppress(OSError):
        handle, name = tempfile.mkstemp(prefix="collbench-heartbeats-")
        try:
            os.posix_fallocate(handle, 0, size)  # or a full disk would be a bus error at the first write
        except OSError:
            os.unlink(name)
            raise
        finally:
            os.close(handle)
        return name
    return None


def _mapped(path: str | None, size: int) -> mmap.mmap:
    with suppress(OSError):
        if path is not None:
            with open(path, "r+b") as file:
                return mmap.mmap(file.fileno(), size)
    return mmap.mmap(-1, size)


def silent(beats: Sequence[Heartbeat], now: float, seconds: float) -> list[Heartbeat]:
    """The ranks that were alive once and have been silent for ``seconds``: stopped, killed or blocked in the kernel."""
    return [beat for beat in beats if beat.seconds and now - beat.seconds > seconds]
