"""Where inputs, outputs and guards of an operation lie in its arena, and how many calls go round how many slots."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.devices.device import Device, Region
from collbench.plan.dtypes import Dtype
from collbench.plan.problem import Workload
from collbench.proof.patterns import SLOT_STEP

BYTE = Dtype("uint8", 1, 0.0, 8)
ALIGNMENT, GUARD_BYTES = 512, 256
COLD_ARENA = 512 << 20
MOST_CALLS = 256
# Consecutive calls must differ in their data, and so must calls two apart: a slot for each parity and one more.
FEWEST_SLOTS = 3
SPAN = 1e-3  # seconds of one sample: 100 times what starting and stopping it costs


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def stride_of(work: Workload) -> int:
    """Bytes from one slot to the next where slots do not overlap, the same on every rank."""
    whole = ALIGNMENT + _aligned(work.bytes + GUARD_BYTES)
    return whole if work.in_place else _aligned(work.bytes) + whole


@dataclass(frozen=True)
class Rounds:
    """``calls`` calls a sample go round ``slots`` slots, at least once round.

    Slots that ``overlap`` lie one alignment apart in the same memory, so that large messages stay as hot as one buffer
    that is used again and again, and still each call has other data at every offset. Only the last output survives
    then, in the last slot.
    """

    calls: int
    slots: int
    overlap: bool


def _room(work: Workload, device: Device) -> int:
    """Bytes for slots that do not overlap: in the cache where they must stay hot."""
    if work.cache == "cold":
        return max(COLD_ARENA, FEWEST_SLOTS * stride_of(work))
    if work.in_place:  # a slot serves one call only, so a few more are worth some heat
        return max(4 * device.hot_bytes, 4 * stride_of(work))
    return device.hot_bytes


def _overlapping(work: Workload, device: Device) -> bool:
    return work.cache == "hot" and not work.in_place and FEWEST_SLOTS * stride_of(work) > device.hot_bytes


def arena_bytes(work: Workload, device: Device) -> int:
    """Bytes of arena that the workload may use."""
    return max(_room(work, device), stride_of(work) + 2 * FEWEST_SLOTS * ALIGNMENT)


def trial_rounds(work: Workload, device: Device) -> Rounds:
    """A few calls, to prove and to estimate with."""
    return Rounds(FEWEST_SLOTS, FEWEST_SLOTS, _overlapping(work, device))


def rounds_for(work: Workload, device: Device, seconds: float) -> Rounds:
    """Calls and slots for calls that take ``seconds``: so many that starting and stopping costs about 1 %.

    A slot serves only one call a sample where its buffers must be cold, and in place, where a second call would
    reduce the result of the first.
    """
    if work.mode == "isolated":
        return Rounds(1, 1, False)
    calls = max(FEWEST_SLOTS, min(MOST_CALLS, round(SPAN / max(seconds, 1e-7)) + 1))
    most = _room(work, device) // stride_of(work)
    if work.cache == "cold" or work.in_place:
        calls = min(calls, most)
        return Rounds(calls, calls, False)
    if _overlapping(work, device):  # whole rounds, so that the last output is that of the last slot
        return Rounds(-(-calls // FEWEST_SLOTS) * FEWEST_SLOTS, FEWEST_SLOTS, True)
    slots = min(calls, most)
    return Rounds(calls, slots - (slots % 2 == 0), False)  # an odd number: no slot meets only one parity


@dataclass(frozen=True)
class Buffers:
    """One rank's stretches of the arena.

    ``send`` and ``recv`` are what calls work on, slot by slot; ``inputs`` and ``outputs`` are the same memory whole, to
    be filled and poisoned; ``answers`` are the outputs that survive a sample, of which the first is that of slot
    ``first_answer``. The data of slot s starts ``s * step`` entries into the table. ``guards`` lie right before and
    behind the outputs.
    """

    send: Region
    recv: Region
    inputs: Region
    outputs: Region
    answers: Region
    first_answer: int
    step: int
    guards: tuple[Region, Region]


def lay_out(work: Workload, rank: int, rounds: Rounds) -> Buffers:
    """Input, guard, output, guard; in place, the smaller of the two is inside the larger."""
    return _overlapped(work, rank, rounds.slots) if rounds.overlap else _separate(work, rank, rounds.slots)


def _separate(work: Workload, rank: int, slots: int) -> Buffers:
    what, n, ranks, width = work.collective, work.count, work.layout.size, work.dtype.itemsize
    stride, sent, received = stride_of(work), what.send(n, ranks, rank), what.recv(n, ranks, rank)
    if work.in_place and what.in_place:
        shift = what.in_place(n, ranks, rank) * width
        send_at, recv_at = ALIGNMENT + max(0, shift), ALIGNMENT + max(0, -shift)
        first, end = ALIGNMENT, ALIGNMENT + work.bytes
    else:
        send_at, recv_at = 0, _aligned(work.bytes) + ALIGNMENT
        first, end = recv_at, recv_at + received * width
    send, recv = (Region(at, stride, slots, count, work.dtype) for at, count in ((send_at, sent), (recv_at, received)))
    guards = tuple(Region(at, stride, slots, GUARD_BYTES, BYTE) for at in (first - GUARD_BYTES, end))
    return Buffers(send, recv, send, recv, recv, 0, SLOT_STEP, (guards[0], guards[1]))


def _overlapped(work: Workload, rank: int, slots: int) -> Buffers:
    what, n, ranks, width = work.collective, work.count, work.layout.size, work.dtype.itemsize
    sent, received, step = what.send(n, ranks, rank), what.recv(n, ranks, rank), ALIGNMENT // width
    extra = (slots - 1) * step
    recv_at = _aligned(work.bytes + extra * width) + ALIGNMENT
    send, recv = (Region(at, ALIGNMENT, slots, count, work.dtype) for at, count in ((0, sent), (recv_at, received)))
    inputs, outputs = (
        Region(at, ALIGNMENT, 1, count + extra if count else 0, work.dtype)
        for at, count in ((0, sent), (recv_at, received))
    )
    last = Region(recv_at + extra * width, ALIGNMENT, 1, received, work.dtype)
    end = last.offset + received * width
    before, behind = (Region(at, ALIGNMENT, 1, GUARD_BYTES, BYTE) for at in (recv_at - GUARD_BYTES, end))
    return Buffers(send, recv, inputs, outputs, last, slots - 1, step, (before, behind))
