"""The interface between kernels and host: twins of kernels/common/args.cuh, the scratch, and marks."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

from collbench.errors import HangError

GATES_BYTES, TICKS, MARKS = 4096, 4096, 16
STATE_WORDS = 4  # of 64 bits, in ``State``
# Epochs are the 32-bit flags of cells; 0 is not a flag.
FIRST_EPOCH, LAST_EPOCHS = 2, (1 << 32) - 6
PATIENCE_NS = 10_000_000_000  # far above any delay of a healthy peer, far below the watchdog's limit
PHASES = ("", "reduce-scatter", "doubling", "folding in", "folding out", "all-gather", "exchange", "rewinding")
DOUBLING = 2
CELL = 16  # bytes
ESCAPES = (0x9E3779B8, 0x9E3779B9)  # the 32-bit words that escape in a Lamport cell for any bits (common/cells.cuh)


@dataclass(frozen=True)
class Scratch:
    """Symmetric memory of a communicator, in bytes: gates, then two halves each of flagged cells, of Lamport cells, and
    of the outbox, where kernels pack what they put.

    ``slack``: bytes of a half reserved for rounding its slots up to whole tiles; a kernel that needs more takes more.
    """

    flagged_half: int
    lamport_half: int
    outbox_half: int = 0
    slack: int = 0

    @property
    def lamport_at(self) -> int:
        """Offset of the Lamport cells, which start with all bits set; everything before them starts as zeros."""
        return GATES_BYTES + 2 * self.flagged_half

    @property
    def bytes(self) -> int:
        """Size of the scratch."""
        return self.lamport_at + 2 * (self.lamport_half + self.outbox_half)


# Lamport cells hold 64 MiB on one node and about half of that between nodes; larger messages take several launches. The
# flagged half also holds the notes on escaped Lamport cells, 8 bytes for each.
ON_GPU = Scratch(100 << 20, 200 << 20, 64 << 20, slack=4 << 20)
# Fits the host's caches, and its shared memory, which containers may limit to 64 MiB. Where there is less, larger
# messages take more launches.
ON_CPU = Scratch(1 << 20, 2 << 20, 512 << 10)
SMALLER_ON_CPU = tuple(Scratch(half, 2 * half, half // 2) for half in (256 << 10, 64 << 10, 16 << 10))


class Stuck(ctypes.Structure):
    """Twin of ``Stuck`` in kernels/common/args.cuh: which rank waited for which when a spin gave up."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("set", "place", "phase", "step", "partner", "unused")] + [
        ("epoch", ctypes.c_uint64)
    ]


ROWS_POINTERS = ("weight", "residual")


def args_type(places: int, rows: bool = False, parts: bool = False) -> type[ctypes.Structure]:
    """Twin of ``Args`` in kernels/common/args.cuh; of ``Given`` there for a kernel that normalises ``rows``, or of a
    collective in which every rank has a part of the message."""
    pointers = ("in_", "out", "count", "state", "stuck", "marks", "patience")
    fields = [
        *((name, ctypes.c_uint64) for name in pointers),
        ("place", ctypes.c_int32), ("unused", ctypes.c_int32),
        ("scratch", ctypes.c_uint64 * places), ("pe", ctypes.c_int32 * places),
        *((name, ctypes.c_uint64) for name in ROWS_POINTERS if rows),
        *((("part", ctypes.c_uint64), ("rank", ctypes.c_int32 * places)) if parts else ()),
    ]  # fmt: skip
    return type("Args", (ctypes.Structure,), {"_fields_": fields})


def args_of(
    places: Sequence[int], rank: int, scratch: Sequence[int], pes: Sequence[int], patience: int | None = None,
    **fields: int,
) -> ctypes.Structure:  # fmt: skip
    """The argument of a kernel on ``rank``. ``scratch`` and ``pes``: address and PE of every place; ``fields``: in_,
    out, count, state, stuck and marks, with rows also weight and residual, with parts also part; ``patience``:
    nanoseconds, PATIENCE_NS by default."""
    count = len(places)
    ranks = {"rank": (ctypes.c_int32 * count)(*places)} if "part" in fields else {}
    return args_type(count, "weight" in fields, "part" in fields)(
        patience=PATIENCE_NS if patience is None else patience, place=places.index(rank),
        scratch=(ctypes.c_uint64 * count)(*scratch), pe=(ctypes.c_int32 * count)(*pes), **ranks, **fields,
    )  # fmt: skip


def first_state(first_epoch: int) -> list[int]:
    """The 64-bit words of ``State`` in kernels/common/args.cuh before the call of ``first_epoch``."""
    return [first_epoch * TICKS % (1 << 64), first_epoch >> 32, 0, 0][:STATE_WORDS]


def waiting_words(places: Sequence[int], place: int, phase: int, step: int, partner: int, epoch: int) -> str:
    """Text that says which rank waits for which, with ``{}`` for the time; ``places`` holds the rank at each place."""
    where = PHASES[phase] + (f" step {step}" if phase == DOUBLING else "")
    return f"rank {places[place]} waited {{}}in {where} of call {epoch} for rank {places[partner]}"


def alarm_of(found: Stuck, places: Sequence[int]) -> HangError | None:
    """The HangError for a spin that gave up; None where none did."""
    if not found.set:
        return None
    words = waiting_words(places, found.place, found.phase, found.step, found.partner, found.epoch)
    return HangError(words.format(f"{PATIENCE_NS / 1e9:g} s "), found.epoch)


def phase_names(phases: Sequence[str], nodes: int) -> tuple[str, ...]:
    """The phases that end at marks 1, 2, ... of a kernel whose header declares ``phases``; "doubling" stands for one
    phase per step between nodes."""
    steps = nodes.bit_length() - 1
    names: list[str] = []
    for phase in phases:
        names += [f"{phase}{step}" for step in range(steps)] if phase == PHASES[DOUBLING] else [phase]
    return tuple(names)


def mark_enumerators(phases: Sequence[str], nodes: int) -> str:
    """C++ enumerators of the phases, each with the number of its first mark."""
    numbers = (1 + len(phase_names(phases[:index], nodes)) for index in range(len(phases)))
    return ",".join(f"{name.replace('-', '_')}={number}" for name, number in zip(phases, numbers, strict=True))
