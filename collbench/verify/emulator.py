"""The emulator: all ranks in this process, whose threads and stores a schedule interleaves.

``kernels/machine/emulator.md`` states what it models and what it does not; ``emulator.cpp`` there is the runtime.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collbench.errors import CannotRunError
from collbench.host.memory import show_bytes
from collbench.kernels import host_compiler
from collbench.kernels.abi import (
    CELL,
    FIRST_EPOCH,
    GATES_BYTES,
    ROWS_POINTERS,
    STATE_WORDS,
    TICKS,
    Scratch,
    Stuck,
    args_type,
)
from collbench.kernels.host_compiler import EMULATED, LoadedKernel
from collbench.kernels.sources import KernelError
from collbench.verify.findings import FaultRecord, Wait, WaitRecord, fault_words
from collbench.verify.schedules import Schedule

PAGE = 4096
FLAGGED_AT = GATES_BYTES  # in the scratch
STATE_AT = 0  # offset in a communicator's memory; its scratch follows
PATIENCE_NS = 1_000_000  # of the emulator's clock, which advances only when no thread can run
PATIENT_EVENTS = 1_000_000, 8192  # without progress these are a livelock: in total, plus for each thread
LOOKS = 2048 * 8  # loads of one thread from each cell before it times out: 2048, times the pieces of a load
LATEST = 16  # flags of cells that earlier calls have left: up to this
MOST_EVENTS = 2_000_000_000
MOST_BYTES = 6 << 30  # of scratch; the emulator's shadow memory takes the same again
ROOM = 2  # kernels of a communicator that are resident at once, where blocks have no other bound
SHOWN, MOST_WAITS = 6, 1 << 16


class Ending(IntEnum):
    """How a run of the emulator ended; the values are those of world.h."""

    DONE, DEADLOCK, LIVELOCK, TRAPPED, OVERFLOW, OUTSIDE, RACE, MISALIGNED = range(8)


HANGS = (Ending.DEADLOCK, Ending.LIVELOCK)
WORDS = {
    Ending.DEADLOCK: "deadlock",
    Ending.LIVELOCK: "livelock: threads run without progress",
    Ending.TRAPPED: "a kernel trapped",
    Ending.OVERFLOW: "the stack of a thread was too small",
    Ending.OUTSIDE: "a store outside symmetric memory",
    Ending.RACE: "a race between threads of a rank",
    Ending.MISALIGNED: "a misaligned access",
}


class _Plan(ctypes.Structure):
    """Mirrors ``Plan`` in world.h."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("seed", "pes", "stride")] + [
        (name, ctypes.c_uint32)
        for name in (
            "run_order", "arrival_order", "prompt", "run", "stay", "tear", "victim", "pe", "number", "stale", "copies",
            "room", "resident",
        )
    ] + [(name, ctypes.c_uint64) for name in ("patience", "most")]  # fmt: skip


@functools.cache
def _runtime() -> Any:
    library = host_compiler.load_runtime(host_compiler.runtime_library(EMULATED))
    library.coll_emu_open.restype = ctypes.c_void_p
    library.coll_emu_events.restype = ctypes.c_uint64
    library.coll_emu_story.restype = ctypes.c_uint64
    return library


@functools.lru_cache(maxsize=64)
def load(content: bytes, symbol: str) -> LoadedKernel:
    """Load the kernel ``symbol`` from a library compiled for the emulator. Raises KernelError."""
    _runtime()
    try:
        return LoadedKernel(content, symbol)
    except (OSError, ValueError, AttributeError) as error:
        raise KernelError(f"the kernel {symbol} does not load: {error}") from error


@functools.lru_cache(maxsize=4)
def used_cells(scratch: Scratch, first_epoch: int) -> NDArray[np.uint32]:
    """Both halves of flagged cells as calls before ``first_epoch`` may have left them, shape (cells, 4): with the flags
    of early calls of that era, which calls after the next wrap have as well, or unused. Before the first call of an
    era, they are of the era before."""
    before = first_epoch & 0xFFFFFFFF
    last = LATEST if before <= FIRST_EPOCH else min(LATEST, before - 1)
    draw, cells = np.random.default_rng(first_epoch), scratch.flagged_half // CELL
    halves = []
    for parity in (0, 1):
        flags = [flag for flag in range(FIRST_EPOCH, last + 1) if flag % 2 == parity] or [0]
        half = draw.integers(0, 1 << 32, (cells, 4), np.uint32)
        half[:, 1] = half[:, 3] = draw.choice(np.array([0, *flags, *flags], np.uint32), cells)
        half[half[:, 1] == 0] = 0
        halves.append(half)
    return np.concatenate(halves)


@dataclass(frozen=True)
class Comms:
    """Memory of the communicators on every PE: a state and a scratch for each. ``first_epoch`` is their first epoch."""

    count: int
    scratch: Scratch
    first_epoch: int

    @property
    def stride(self) -> int:
        """Distance between communicators, in bytes."""
        return PAGE + -(-self.scratch.bytes // PAGE) * PAGE


class Emulator:
    """An emulator of ``places`` ranks whose kernels have at most ``threads`` threads.

    ``pes`` holds the PE at each place; by default, a place is its PE. ``resident``: how many blocks of a rank are
    resident at once, 0 for no bound but ROOM kernels of each communicator. A process can have one emulator at a time;
    ``close`` frees it. Raises CannotRunError or MemoryError if it needs too much memory.
    """

    def __init__(
        self, schedule: Schedule, places: int, comms: Comms, threads: int, pes: Sequence[int] | None = None,
        resident: int = 0,
    ) -> None:  # fmt: skip
        self.places, self.comms = places, comms
        self.pes = tuple(range(places)) if pes is None else tuple(pes)
        assert sorted(self.pes) == list(range(places)), f"{pes} are not the PEs of {places} places"
        self._library = _runtime()
        stride, room = comms.count * comms.stride, ROOM * threads
        all_threads = comms.count * places * room
        patience = PATIENT_EVENTS[0] + PATIENT_EVENTS[1] * all_threads + LOOKS * places**2
        plan = _Plan(
            pes=places, stride=stride, patience=patience, most=MOST_EVENTS, room=room, resident=resident,
            **asdict(schedule),
        )  # fmt: skip
        if places * stride > MOST_BYTES:
            raise CannotRunError(f"{places} ranks would need {show_bytes(places * stride)} of scratch in the emulator")
        self._base = self._library.coll_emu_open(ctypes.byref(plan), ctypes.c_uint64(all_threads), comms.count)
        if not self._base:
            raise MemoryError(f"the emulator has no memory for {places} ranks of {threads} threads")
        self._buffers: list[list[Sequence[int]]] = [[] for _ in range(places * comms.count)]  # of launches
        self._stuck = [[Stuck() for _ in range(places)] for _ in range(comms.count)]
        for place in range(places):
            for comm in range(comms.count):
                self._clear(place, comm)

    def _address(self, place: int, comm: int) -> int:
        return int(self._base) + self._stream(place, comm) * self.comms.stride

    def _stream(self, place: int, comm: int) -> int:
        return self.pes[place] * self.comms.count + comm

    def _clear(self, place: int, comm: int) -> None:
        at, scratch, epoch = self._address(place, comm), self.comms.scratch, self.comms.first_epoch
        state = np.array([epoch * TICKS, epoch >> 32, 0, 0][:STATE_WORDS], np.uint64)
        ctypes.memmove(at, state.ctypes.data, state.nbytes)
        ctypes.memset(at + PAGE + scratch.lamport_at, 0xFF, 2 * scratch.lamport_half)
        if epoch != FIRST_EPOCH:
            old = used_cells(scratch, epoch)
            ctypes.memmove(at + PAGE + FLAGGED_AT, old.ctypes.data, old.nbytes)

    def launch(
        self, place: int, comm: int, kernel: LoadedKernel, buffers: Sequence[int], count: int,
        reached: Sequence[bool], shape: tuple[int, int], part: int = 0, ranks: Sequence[int] = (),
    ) -> None:  # fmt: skip
        """Enqueue ``kernel`` on a place's stream of communicator ``comm``: ``buffers`` are the addresses of input and
        output, of ``count`` elements, and of weight and residual where rows are normalised; ``shape`` is (blocks,
        threads); ``reached``: whether loads and stores reach each place; ``part``: elements from one rank's part of the
        message to the next where each has one, and ``ranks``, the rank at each place."""
        scratch = [self._address(other, comm) + PAGE if there else 0 for other, there in enumerate(reached)]
        rows = dict(zip(ROWS_POINTERS, buffers[2:], strict=len(buffers) > 2))
        parts = {"part": part, "rank": (ctypes.c_int32 * self.places)(*ranks)} if part else {}
        argument = args_type(self.places, bool(rows), bool(part))(
            **rows, **parts, in_=buffers[0], out=buffers[1], count=count, state=self._address(place, comm),
            patience=PATIENCE_NS,
            stuck=ctypes.addressof(self._stuck[comm][place]), marks=0, place=place,
            scratch=(ctypes.c_uint64 * self.places)(*scratch),
            pe=(ctypes.c_int32 * self.places)(*self.pes),
        )  # fmt: skip
        stream = self._stream(place, comm)
        self._buffers[stream].append((buffers[0], buffers[1]))
        begin, end = kernel.shared
        self._library.coll_emu_launch(
            stream, kernel.entry, ctypes.byref(argument),
            ctypes.c_uint64(ctypes.sizeof(argument)), *shape, ctypes.c_void_p(begin), ctypes.c_void_p(end),
        )  # fmt: skip

    def run(self) -> Ending:
        """Run all enqueued kernels, and return how the run ended."""
        return Ending(self._library.coll_emu_run())

    @property
    def events(self) -> int:
        """The number of steps of threads and arrivals of stores so far."""
        return int(self._library.coll_emu_events())

    def gave_up(self, place: int, comm: int = 0) -> bool:
        """Whether a kernel of this place timed out and recorded which rank it waited for."""
        return bool(self._library.coll_emu_trapped(self.pes[place])) and bool(self._stuck[comm][place].set)

    def report(self, place: int, comm: int = 0) -> Stuck | None:
        """What the kernel of this place recorded when it gave up, as the host would read it; None if it did not."""
        return self._stuck[comm][place] if self.gave_up(place, comm) else None

    def sender(self, place: int, comm: int, offset: int) -> int | None:
        """The place of the last other rank that has stored to the cell at ``offset`` of a scratch, where the emulator
        remembers it."""
        at = self._address(place, comm) - int(self._base) + PAGE + offset
        pe = int(self._library.coll_emu_sender(ctypes.c_uint64(at)))
        return self.pes.index(pe) if pe >= 0 else None

    def waiting(self) -> list[Wait]:
        """The threads that waited at a deadlock or livelock, else what every thread last waited for."""
        found = (WaitRecord * MOST_WAITS)()
        count = min(MOST_WAITS, self._library.coll_emu_story(found, ctypes.c_uint64(MOST_WAITS)))
        return [self._wait(each) for each in found[:count] if each.phase]

    def _wait(self, one: Any) -> Wait:
        comm, offset = divmod(one.offset - one.pe * self.comms.count * self.comms.stride, self.comms.stride)
        return Wait(
            place=self.pes.index(one.pe), partner=one.partner, phase=one.phase, step=one.step, epoch=one.epoch,
            comm=comm, block=one.block, thread=one.thread, offset=offset - PAGE, cell=(one.low, one.high),
        )  # fmt: skip

    def fault(self, ranks: Sequence[int]) -> str | None:
        """The race or the misaligned access that ended the run, as a line of text, or None. ``ranks`` holds the rank
        at each place."""
        found = FaultRecord()
        self._library.coll_emu_fault(ctypes.byref(found))
        if not found.one.does:
            return None
        who = f"rank {ranks[self.pes.index(found.pe)]}, communicator {found.stream % self.comms.count}"
        return f"{who}: {fault_words(found, self._buffers[found.stream][found.one.launch])}"

    def waits(self, ranks: Sequence[int], rank: int | None = None) -> list[str]:
        """Lines about which rank waited for which cell of which other rank at the end, or last: the oldest call first,
        one thread per rank and phase; after a fault, the line about it. ``ranks`` holds the rank at each place;
        ``rank`` selects the waits of one."""
        if fault := self.fault(ranks):
            return [fault]
        waits = [each for each in self.waiting() if rank in (None, ranks[each.place])]
        one_each = {(each.epoch, each.place, each.phase, each.step): each for each in waits}
        chosen = [one_each[key] for key in sorted(one_each)]
        lines = [each.words(ranks) for each in chosen[:SHOWN]]
        return lines + ([f"... and {len(chosen) - SHOWN} more"] if len(chosen) > SHOWN else [])

    def close(self) -> None:
        """Free the memory."""
        self._library.coll_emu_close()
