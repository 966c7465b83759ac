"""The layout of inputs, outputs and guards in the arena, and the numbers of calls and slots of a sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

from collbench.devices.device import Device, Region
from collbench.plan.dtypes import Dtype
from collbench.plan.problem import Problem
from collbench.proof.patterns import SLOT_STEP

BYTE = Dtype("uint8", 1, 0.0, 8)
ALIGNMENT, GUARD_BYTES = 512, 256
COLD_ARENA = 512 << 20
MOST_CALLS = 256
# Consecutive calls must differ in their data, and so must calls two apart: one slot per half of the scratch, plus one.
FEWEST_SLOTS = 3
SPAN = 1e-3  # seconds of one sample: 100 times the cost of starting and stopping it


def aligned(size: int) -> int:
    """``size`` rounded up to what a buffer may begin at."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def stride_of(problem: Problem) -> int:
    """Bytes from one slot to the next where slots do not overlap; the same on every rank."""
    whole = ALIGNMENT + aligned(problem.output_bytes + GUARD_BYTES)
    return whole if problem.in_place else aligned(problem.input_bytes) + whole


@dataclass(frozen=True)
class Rounds:
    """A sample makes ``calls`` calls, which cycle through ``slots`` slots at least once.

    Slots that ``overlap`` start one alignment apart in the same memory, so that large messages stay as hot as a single
    reused buffer while each call still has different data at every offset. Only the last output then survives, in the
    last slot.
    """

    calls: int
    slots: int
    overlap: bool


def _room(problem: Problem, device: Device) -> int:
    """Bytes available for slots that do not overlap; they fit the cache where they must stay hot."""
    if problem.cache == "cold":
        return max(COLD_ARENA, FEWEST_SLOTS * stride_of(problem))
    if problem.overwrites:  # a slot serves one call only: more calls per sample outweigh colder slots
        return max(4 * device.hot_bytes, 4 * stride_of(problem))
    return device.hot_bytes


def _overlapping(problem: Problem, device: Device) -> bool:
    return problem.cache == "hot" and not problem.overwrites and FEWEST_SLOTS * stride_of(problem) > device.hot_bytes


def arena_bytes(problem: Problem, device: Device) -> int:
    """Bytes of arena that ``problem`` may use."""
    return max(_room(problem, device), stride_of(problem) + 2 * FEWEST_SLOTS * ALIGNMENT)


def trial_rounds(problem: Problem, device: Device) -> Rounds:
    """A few calls, with which to prove the problem and to estimate its latency."""
    return Rounds(FEWEST_SLOTS, FEWEST_SLOTS, _overlapping(problem, device))


def rounds_for(problem: Problem, device: Device, seconds: float) -> Rounds:
    """Calls and slots for calls that take ``seconds`` each; starting and stopping then costs about 1 % of a sample.

    A slot serves only one call per sample where its buffers must be cold, and where it overwrites what it reads: in
    place, a second call would reduce the result of the first.
    """
    if problem.mode == "isolated":
        return Rounds(1, 1, False)
    calls = max(FEWEST_SLOTS, min(MOST_CALLS, round(SPAN / max(seconds, 1e-7)) + 1))
    most = _room(problem, device) // stride_of(problem)
    if problem.cache == "cold" or problem.overwrites:
        calls = min(calls, most)
        return Rounds(calls, calls, False)
    if _overlapping(problem, device):  # whole cycles, so that the last output is in the last slot
        return Rounds(-(-calls // FEWEST_SLOTS) * FEWEST_SLOTS, FEWEST_SLOTS, True)
    slots = min(calls, most)
    return Rounds(calls, slots - (slots % 2 == 0), False)  # odd: every slot meets both halves of the scratch


@dataclass(frozen=True)
class Buffers:
    """One rank's regions of the arena.

    ``send`` and ``recv`` are the buffers of the calls, slot by slot; ``inputs`` and ``outputs`` cover the same memory
    as a whole, to be filled and poisoned; ``answers`` are the outputs that survive a sample, the first of them in slot
    ``first_answer``. The data of slot s starts ``s * step`` entries into the table. ``guards`` are immediately before
    and after the outputs.
    """

    send: Region
    recv: Region
    inputs: Region
    outputs: Region
    answers: Region
    first_answer: int
    step: int
    guards: tuple[Region, Region]


def lay_out(problem: Problem, rank: int, rounds: Rounds) -> Buffers:
    """The regions of ``rank``: input, guard, output, guard; in place, the smaller buffer is inside the larger."""
    return _overlapped(problem, rank, rounds.slots) if rounds.overlap else _separate(problem, rank, rounds.slots)


def _separate(problem: Problem, rank: int, slots: int) -> Buffers:
    what, n, ranks, width = problem.collective, problem.count, problem.layout.size, problem.dtype.itemsize
    stride, sent, received = stride_of(problem), problem.sent(rank), problem.received(rank)
    if problem.in_place and what.in_place:
        shift = what.in_place(n, ranks, rank) * width
        send_at, recv_at = ALIGNMENT + max(0, shift), ALIGNMENT + max(0, -shift)
        first, end = ALIGNMENT, ALIGNMENT + problem.bytes
    else:
        send_at, recv_at = 0, aligned(problem.input_bytes) + ALIGNMENT
        first, end = recv_at, recv_at + received * width
    send, recv = (
        Region(at, stride, slots, count, problem.dtype) for at, count in ((send_at, sent), (recv_at, received))
    )
    guards = tuple(Region(at, stride, slots, GUARD_BYTES, BYTE) for at in (first - GUARD_BYTES, end))
    return Buffers(send, recv, send, recv, recv, 0, SLOT_STEP, (guards[0], guards[1]))


def _overlapped(problem: Problem, rank: int, slots: int) -> Buffers:
    width = problem.dtype.itemsize
    sent, received, step = problem.sent(rank), problem.received(rank), ALIGNMENT // width
    extra = (slots - 1) * step
    recv_at = aligned(problem.bytes + extra * width) + ALIGNMENT
    send, recv = (Region(at, ALIGNMENT, slots, count, problem.dtype) for at, count in ((0, sent), (recv_at, received)))
    inputs, outputs = (
        Region(at, ALIGNMENT, 1, count + extra if count else 0, problem.dtype)
        for at, count in ((0, sent), (recv_at, received))
    )
    last = Region(recv_at + extra * width, ALIGNMENT, 1, received, problem.dtype)
    end = last.offset + received * width
    before, behind = (Region(at, ALIGNMENT, 1, GUARD_BYTES, BYTE) for at in (recv_at - GUARD_BYTES, end))
    return Buffers(send, recv, inputs, outputs, last, slots - 1, step, (before, behind))


def kept_bytes(problem: Problem, slots: int) -> int:
    """Bytes of arena for ``kept`` with so many slots."""
    if problem.overwrites:
        return slots * stride_of(problem)
    return _inputs_of(problem, slots) + slots * _stride_of_output(problem)


def kept(problem: Problem, rank: int, slots: int) -> Buffers:
    """The regions of ``rank`` for calls whose every output survives, in a slot of its own. Inputs start one alignment
    apart in the same memory, so that they are as hot as a single one but differ at every offset; not so where a call
    overwrites what it reads."""
    if problem.overwrites:
        return _separate(problem, rank, slots)
    width, stride = problem.dtype.itemsize, _stride_of_output(problem)
    sent, received, step = problem.sent(rank), problem.received(rank), ALIGNMENT // width
    recv_at = _inputs_of(problem, slots) + ALIGNMENT
    recv = Region(recv_at, stride, slots, received, problem.dtype)
    inputs = Region(0, ALIGNMENT, 1, sent + (slots - 1) * step if sent else 0, problem.dtype)
    ends = (recv_at - GUARD_BYTES, recv_at + received * width)
    before, behind = (Region(at, stride, slots, GUARD_BYTES, BYTE) for at in ends)
    send = Region(0, ALIGNMENT, slots, sent, problem.dtype)
    return Buffers(send, recv, inputs, recv, recv, 0, step, (before, behind))


def _stride_of_output(problem: Problem) -> int:
    return ALIGNMENT + aligned(problem.output_bytes + GUARD_BYTES)


def _inputs_of(problem: Problem, slots: int) -> int:
    return aligned(problem.input_bytes) + (slots - 1) * ALIGNMENT


def shifted(buffers: Buffers, send: int, recv: int) -> Buffers:
    """A copy with the inputs moved up by ``send`` bytes and the outputs with their guards by ``recv``, less than
    GUARD_BYTES each. The guard behind an output still ends where it did, before the next slot."""
    before, behind = buffers.guards
    return replace(
        buffers,
        send=_moved(buffers.send, send), inputs=_moved(buffers.inputs, send),
        recv=_moved(buffers.recv, recv), outputs=_moved(buffers.outputs, recv), answers=_moved(buffers.answers, recv),
        guards=(_moved(before, recv), replace(_moved(behind, recv), count=behind.count - recv)),
    )  # fmt: skip


def _moved(region: Region, by: int) -> Region:
    return replace(region, offset=region.offset + by)
