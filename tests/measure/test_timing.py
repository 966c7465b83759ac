"""What the samples of all ranks become: latencies from the first and the last arrival, of ranks that are threads here
and share a made-up world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from samples import a_problem, a_sweep

from collbench.devices.cpu import Cpu
from collbench.devices.device import Errors
from collbench.measure.operation import Operation, Sample
from collbench.measure.timing import Block, Track, is_done, take
from collbench.plan.skew import parse_skew
from collbench.proof.buffers import Rounds, arena_bytes

GUARD_SECONDS = 60
Floats = NDArray[np.float64]
Times = tuple[float, float]  # of a rank in a sample: its arrival after the agreed start, and its time from there


class Shared:
    """Reductions over ranks that are threads."""

    def __init__(self, ranks: int) -> None:
        self._values: list[Floats] = [np.empty(0)] * ranks
        self._barrier = Barrier(ranks, timeout=GUARD_SECONDS)

    def of(self, rank: int, group: int) -> Any:
        """The world as a rank sees it, in groups of ``group`` ranks."""

        def reduced(values: Floats, how: Callable[[Floats], Any], size: int = 0) -> Any:
            self._values[rank] = values
            self._barrier.wait()
            first = rank // size * size if size else 0
            found = how(np.stack(self._values[first : first + size] if size else self._values))
            self._barrier.wait()
            return found

        return SimpleNamespace(
            group=SimpleNamespace(highest=lambda values: reduced(values, lambda all_of: all_of.max(axis=0), group)),
            highest=lambda values: reduced(values, lambda all_of: all_of.max(axis=0)),
            mean=lambda values: reduced(values, lambda all_of: all_of.mean(axis=0)),
            gathered=lambda values: reduced(values, lambda all_of: all_of if rank == 0 else all_of[:0]),
        )


def block_of(samples: Sequence[Sequence[Times]], late: int | None = None, group: int | None = None) -> list[Block]:
    """What each rank makes of these samples, each a (arrival, seconds) of every rank; the host of the last rank was
    late for sample ``late``. ``group``: the ranks of a group, of several side by side."""
    ranks = len(samples[0])
    shared = Shared(ranks)

    def run(rank: int) -> Block:
        left = iter(enumerate(samples))

        def sample() -> Sample:
            number, times = next(left)
            arrival, seconds = times[rank]
            return Sample(seconds, number == late and rank == ranks - 1, Errors(), None, arrival)

        operation = cast(Any, SimpleNamespace(sample=sample, device=SimpleNamespace(throttled=lambda: None)))
        return take(shared.of(rank, group or ranks), Track(operation), len(samples))

    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(run, range(ranks)))


def test_waiting_ends_with_the_last_arrival() -> None:
    late_rank_ends_first = ((0.0, 25e-6), (20e-6, 4e-6), (5e-6, 18e-6))
    root_leaves_early = ((0.0, 3e-6), (20e-6, 6e-6), (2e-6, 21e-6))
    for block in block_of([late_rank_ends_first, root_leaves_early]):
        assert block.seconds == pytest.approx([5e-6, 6e-6])
        assert block.firsts == pytest.approx([25e-6, 26e-6])
        assert block.means == pytest.approx([47e-6 / 3, 10e-6])


def test_the_first_arrival_is_that_of_the_earliest_rank_not_the_start() -> None:
    (block, _) = block_of([((2e-6, 10e-6), (3e-6, 12e-6))])
    assert block.seconds == pytest.approx([12e-6])
    assert block.firsts == pytest.approx([13e-6])


def test_ranks_that_arrive_together_take_the_longest_time_of_any() -> None:
    blocks = block_of([((0.0, 3e-6), (0.0, 7e-6)), ((0.0, 2e-6), (0.0, 1e-6))])
    assert [block.seconds for block in blocks] == [[7e-6, 2e-6]] * 2
    assert [block.firsts for block in blocks] == [[7e-6, 2e-6]] * 2
    assert [times.tolist() for times in blocks[0].by_rank] == [[3e-6, 7e-6], [2e-6, 1e-6]]
    assert blocks[1].by_rank == []


def test_groups_side_by_side_wait_for_their_own_ranks_only() -> None:
    quick, slow = ((9e-6, 5e-6), (12e-6, 2e-6)), ((1e-6, 14e-6), (10e-6, 4e-6))  # from 12 to 14 and from 10 to 15 us
    for block in block_of([(*quick, *slow)], group=2):
        assert block.seconds == pytest.approx([5e-6]), "the slower group's"
        assert block.firsts == pytest.approx([14e-6])


def test_a_sample_for_which_a_host_was_late_does_not_count() -> None:
    times = ((0.0, 3e-6), (1e-6, 4e-6))
    assert [len(block.firsts) for block in block_of([times, times, times], late=1)] == [2, 2]


def test_a_case_is_done_when_both_medians_are_known() -> None:
    operation = cast(Any, None)
    known, varied = [1e-6] * 40, [1e-6 * (1 + each % 20) for each in range(40)]
    sweep = a_sweep(max_seconds=1e9)
    assert is_done(Track(operation, seconds=known, firsts=known), sweep)
    assert not is_done(Track(operation, seconds=known, firsts=varied), sweep)
    assert not is_done(Track(operation, seconds=varied, firsts=known), sweep)


class Noted:
    """A sampler that notes the delays it is asked for, None for a plain sample."""

    def __init__(self) -> None:
        self.delays: list[float | None] = []

    def sample(self) -> tuple[float, bool]:
        self.delays.append(None)
        return 1e-6, False

    def skewed(self, delay: float) -> tuple[float, float, bool]:
        self.delays.append(delay)
        return delay + 1e-7, 2e-6, False

    def close(self) -> None: ...


def sampled(rounds: Rounds, delays: Callable[[int], float] | None) -> tuple[list[float | None], list[float]]:
    """The delays that a rank's sampler is asked for in three samples, and the arrivals."""
    sampler, device, problem = Noted(), Cpu(), a_problem(ranks=2, mode="isolated")
    device.sampler = lambda world, calls, mode, cold: sampler  # type: ignore[method-assign]
    session = SimpleNamespace(arena=device.arena(arena_bytes(problem, device)), prepare=lambda *buffers: lambda: None)
    backend = SimpleNamespace(exact_order=lambda problem: None)
    world = SimpleNamespace(rank=1, group=SimpleNamespace(layout=problem.layout, rank=1, number=0))
    operation = Operation(*cast(Any, (world, backend, session, device, problem, rounds, False, delays)))
    operation.start_sampling()
    return sampler.delays, [operation.sample().arrival for _ in range(3)]


def test_each_sample_of_one_call_has_the_next_draw() -> None:
    def delay(sample: int) -> float:
        return parse_skew("20us").delays(7, 2, sample, 4)[3]

    one, several = Rounds(1, 1, False), Rounds(5, 5, False)
    drawn = [delay(sample) for sample in range(3)]
    assert sampled(one, delay) == (drawn, [each + 1e-7 for each in drawn])
    assert sampled(one, None) == sampled(several, delay) == ([None] * 3, [0.0] * 3)
