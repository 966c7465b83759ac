"""Layout of buffers: no forbidden overlap, guards adjacent to the outputs, different data in successive calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from collbench.devices.cpu import Cpu
from collbench.devices.device import Device, Region
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.layout import Layout
from collbench.plan.problem import Problem
from collbench.proof.buffers import (
    ALIGNMENT,
    COLD_ARENA,
    FEWEST_SLOTS,
    GUARD_BYTES,
    MOST_CALLS,
    Rounds,
    arena_bytes,
    kept,
    kept_bytes,
    lay_out,
    rounds_for,
    shifted,
    trial_rounds,
)

RANKS = 4


@dataclass
class Small(Cpu):
    """A device with a small cache."""

    hot_bytes: int = 1 << 16
    cold_bytes: int = 1 << 17


def problem(
    name: str = "all_reduce", size: int = 4096, cache: str = "hot", in_place: bool = False, mode: str = "chain"
) -> Problem:
    layout, what = Layout(tuple(range(RANKS)), (0,) * RANKS), COLLECTIVES[name]
    kind, hidden = (DTYPES["bfloat16"], 8) if what.normalises else (DTYPES["float32"], 0)
    return Problem(layout, what, kind, "sum", size, mode, cache, in_place, hidden)


def spans(region: Region) -> list[tuple[int, int]]:
    """(first byte, one past the last) of each slot."""
    width = region.count * region.dtype.itemsize
    return [
        (region.offset + slot * region.stride, region.offset + slot * region.stride + width)
        for slot in range(region.slots)
    ]


CASES = [
    (name, size, in_place) for name in COLLECTIVES for size in (16, 1008, 4096, 100_000) for in_place in (False, True)
]


@pytest.mark.parametrize(("name", "size", "in_place"), CASES)
@pytest.mark.parametrize("rank", range(RANKS))
def test_buffers_stay_apart_and_inside(name: str, size: int, in_place: bool, rank: int) -> None:
    if in_place and COLLECTIVES[name].in_place is None:
        return
    case, device = problem(name, size, in_place=in_place), Small()
    rounds = rounds_for(case, device, 1e-5)
    buffers = lay_out(case, rank, rounds)
    used = np.zeros(arena_bytes(case, device), np.int8)
    for region in (buffers.outputs, *buffers.guards, *(() if in_place else (buffers.inputs,))):
        for low, high in spans(region):
            assert 0 <= low <= high <= len(used)
            used[low:high] += 1
    assert used.max() == 1, "two regions share a byte"
    before, behind = (spans(guard) for guard in buffers.guards)
    whole = [(low, low + case.bytes) for low, _ in spans(buffers.outputs)] if in_place else spans(buffers.answers)
    if not in_place:
        assert before[0][1] == spans(buffers.outputs)[0][0]
        assert behind[-1][0] == whole[-1][1]
    assert all(high - low == GUARD_BYTES for low, high in [*before, *behind])
    assert [region.count for region in (buffers.send, buffers.recv)] == [case.sent(rank), case.received(rank)]


@pytest.mark.parametrize("name", list(COLLECTIVES))
@pytest.mark.parametrize("size", [16, 1008, 100_000])
@pytest.mark.parametrize("rank", range(RANKS))
def test_every_answer_is_kept_beside_inputs_that_differ(name: str, size: int, rank: int) -> None:
    case = problem(name, size)
    buffers = kept(case, rank, 5)
    used = np.zeros(kept_bytes(case, 5), np.int8)
    for region in (buffers.outputs, *buffers.guards, buffers.inputs):
        for low, high in spans(region):
            assert 0 <= low <= high <= len(used)
            used[low:high] += 1
    assert used.max() == 1, "two regions share a byte"
    assert (buffers.answers, buffers.first_answer, buffers.answers.slots) == (buffers.recv, 0, 5)
    assert len({low for low, _ in spans(buffers.send)}) == 5
    if not case.overwrites:
        assert buffers.send.stride == buffers.step * case.dtype.itemsize
        assert not case.sent(rank) or spans(buffers.inputs)[0][1] == spans(buffers.send)[-1][1]


def test_large_messages_share_memory_and_only_the_last_answer_is_judged() -> None:
    case, device = problem(size=1 << 16), Small()
    rounds = rounds_for(case, device, 1e-4)
    assert rounds.overlap
    assert rounds.slots == FEWEST_SLOTS
    assert rounds.calls % rounds.slots == 0
    buffers = lay_out(case, 0, rounds)
    assert spans(buffers.answers) == spans(buffers.recv)[-1:]
    assert buffers.first_answer == rounds.slots - 1
    assert buffers.send.stride == buffers.recv.stride == ALIGNMENT == buffers.step * 4
    assert spans(buffers.inputs) == [(spans(buffers.send)[0][0], spans(buffers.send)[-1][1])]


@pytest.mark.parametrize("size", [4, 4096, 1 << 16, 1 << 20])
@pytest.mark.parametrize("cache", ["hot", "cold"])
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("seconds", [1e-7, 1e-5, 1e-2])
def test_every_slot_is_used_and_none_twice_where_it_must_not(
    size: int, cache: str, in_place: bool, seconds: float
) -> None:
    check_slots(problem(size=size, cache=cache, in_place=in_place), cache == "cold" or in_place, seconds)


@pytest.mark.parametrize("size", [16, 4096, 1 << 20])
@pytest.mark.parametrize("seconds", [1e-7, 1e-2])
def test_a_slot_whose_residual_is_updated_serves_one_call(size: int, seconds: float) -> None:
    check_slots(problem("all_reduce_rms_norm", size), True, seconds)


def check_slots(case: Problem, once: bool, seconds: float) -> None:
    rounds = rounds_for(case, Small(), seconds)
    assert FEWEST_SLOTS <= rounds.slots <= rounds.calls < MOST_CALLS + FEWEST_SLOTS
    if once:
        assert rounds.calls == rounds.slots
    else:
        assert rounds.slots % 2 == 1, "an even number of slots meets one parity only"


def test_isolated_calls_come_alone() -> None:
    assert rounds_for(problem(mode="isolated"), Small(), 1e-6) == Rounds(1, 1, False)


@pytest.mark.parametrize("cache", ["hot", "cold"])
def test_the_trial_fits(cache: str) -> None:
    device: Device = Small()
    for size in (4, 1 << 16, COLD_ARENA):
        case = problem(size=size, cache=cache)
        buffers = lay_out(case, 1, trial_rounds(case, device))
        assert max(high for region in (buffers.outputs, *buffers.guards) for _, high in spans(region)) <= arena_bytes(
            case, device
        )


@pytest.mark.parametrize(("name", "size", "in_place"), CASES)
@pytest.mark.parametrize(("send", "recv"), [(4, 4), (4, 0), (0, 4)])
def test_shifted_buffers_are_as_far_apart(name: str, size: int, in_place: bool, send: int, recv: int) -> None:
    asked = problem(name, size, in_place=in_place)
    if asked.refusal() or (in_place and send != recv):
        return
    buffers = shifted(lay_out(asked, 0, Rounds(3, 3, overlap=False)), send, recv)
    before, behind = buffers.guards
    assert [start % ALIGNMENT for start, _ in spans(buffers.recv)] == [recv] * 3 or in_place
    assert spans(behind)[0][1] - spans(before)[0][0] >= 2 * GUARD_BYTES - recv
    taken = sorted(spans(before) + spans(behind) + ([] if in_place else spans(buffers.send) + spans(buffers.recv)))
    assert all(end <= start for (_, end), (start, _) in zip(taken, taken[1:], strict=False))
    assert taken[-1][1] <= 3 * buffers.recv.stride
