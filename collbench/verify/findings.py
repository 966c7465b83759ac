"""What the emulator finds, as records and in words: who waits for which cell, races, and misaligned accesses."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collbench.kernels.abi import waiting_words

DOES = ("", "loads", "stores")
BUFFERS = ("input", "output", "weight", "residual")  # in the order of a launch's addresses
MOST_OFFSET = 1 << 30  # within a buffer


class WaitRecord(ctypes.Structure):
    """Mirrors ``Waiting`` in world.h."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("pe", "block", "thread", "phase", "step", "partner")] + [
        (name, ctypes.c_uint64) for name in ("epoch", "offset", "low", "high")
    ]


class _Culprit(ctypes.Structure):
    """Mirrors ``Culprit`` in world.h."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("launch", "block", "thread", "does")]


class FaultRecord(ctypes.Structure):
    """Mirrors ``Fault`` in world.h: an access, and what it races with."""

    _fields_ = [
        ("pe", ctypes.c_uint32), ("stream", ctypes.c_uint32), ("address", ctypes.c_uint64), ("bytes", ctypes.c_uint64),
        ("one", _Culprit), ("other", _Culprit),
    ]  # fmt: skip


@dataclass(frozen=True)
class Wait:
    """A thread of the rank at ``place`` that waits, or last waited, for the rank at ``partner`` in a phase (a number of
    ``abi.PHASES``) and step of the call ``epoch``: for the cell at ``offset`` of its scratch, which holds ``cell``."""

    place: int
    partner: int
    phase: int
    step: int
    epoch: int
    comm: int
    block: int
    thread: int
    offset: int
    cell: tuple[int, int]

    def words(self, ranks: Sequence[int]) -> str:
        """The wait as a line of text; ``ranks`` holds the rank at each place."""
        what = waiting_words(ranks, self.place, self.phase, self.step, self.partner, self.epoch).format("")
        holds = " ".join(f"{half:016x}" for half in self.cell)
        where = f"block {self.block}, thread {self.thread}, communicator {self.comm}"
        return f"{what} ({where}: the cell at {self.offset:#x} of its scratch holds {holds})"


def _culprit(one: Any) -> str:
    return f"block {one.block}, thread {one.thread} of launch {one.launch + 1}"


def fault_words(found: FaultRecord, addresses: Sequence[int]) -> str:
    """A race or a misaligned access in words; ``addresses`` are those of the launch's BUFFERS."""
    offsets = {(found.address - each) % (1 << 64): name for each, name in zip(addresses, BUFFERS, strict=False)}
    nearest = min(offsets)
    where = f"byte {nearest} of the {offsets[nearest]}" if nearest < MOST_OFFSET else f"address {found.address:#x}"
    words = f"{_culprit(found.one)} {DOES[found.one.does]} {found.bytes} bytes at {where}"
    if not found.other.does:
        return f"{words}, which is no multiple of its size"
    return f"{words}, and {_culprit(found.other)} {DOES[found.other.does]} it, with no order between them"
