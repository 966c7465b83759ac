"""Warm-up, blocks of samples and the stop rule; rank 0 makes all decisions for all ranks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from collbench.devices.device import Device
from collbench.measure.operation import Sample
from collbench.proof.buffers import Rounds
from collbench.ranks.world import World
from collbench.results.statistics import median_interval, relative_width

WIDTH = 0.01  # stop when the 95 % intervals of the medians are narrower than this fraction of them
STEADY = 0.02  # warm when the median changes by less than this fraction between blocks
FEWEST, MOST = 20, 1000  # samples
BLOCK_SECONDS, SMALLEST_BLOCK, LARGEST_BLOCK = 0.1, 3, 50
WARM_BLOCKS = 5
DISTURBED = 1.1


class Limits(Protocol):
    """How long to measure: ``warmup`` calls at least, then ``samples``, or where None as many as it takes, for
    ``max_seconds`` at most."""

    @property
    def warmup(self) -> int: ...

    @property
    def samples(self) -> int | None: ...

    @property
    def max_seconds(self) -> float: ...


class Timed(Protocol):
    """What samples are taken of; its methods are collective over the world."""

    device: Device
    rounds: Rounds

    def sample(self) -> Sample:
        """One sample on fresh inputs, whose answers are checked after the timed part."""

    def close(self) -> None:
        """Release what samples need."""


@dataclass
class Track:
    """The measurements of one operation in this launch, in seconds per call, with one entry per sample.

    ``seconds`` is from the arrival of the last rank to the last end, the maximum over ranks where all arrive together,
    ``firsts`` from the arrival of the first; of groups side by side both are those of the slowest. ``by_rank``, on rank
    0, is what each rank took from its own arrival to its own end, ``means`` the mean of that over ranks;
    ``late`` counts the samples that were discarded since some host was late; ``throttled`` says why some rank's clocks
    were throttled.
    """

    operation: Timed
    seconds: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    by_rank: list[NDArray[np.float64]] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    warmups: int = 0
    late: int = 0
    wrong: int = 0
    units: float = 0.0
    words: str | None = None
    throttled: str | None = None
    spent: float = 0.0
    block: int = SMALLEST_BLOCK


@dataclass(frozen=True)
class Block:
    """Samples that count, in the terms of `Track`."""

    seconds: list[float]
    means: list[float]
    by_rank: list[NDArray[np.float64]]
    firsts: list[float]


def take(world: World, track: Track, count: int) -> Block:
    """Take ``count`` samples; errors are recorded in ``track``."""
    begin = time.perf_counter()
    samples = [track.operation.sample() for _ in range(count)]
    throttled = track.operation.device.throttled()  # at once, before the clocks recover
    seconds = np.array([sample.seconds for sample in samples])
    arrivals = np.array([sample.arrival for sample in samples])
    flags = np.array([_flags(sample, throttled is not None) for sample in samples])
    of_group = world.group.highest(np.stack([arrivals + seconds, arrivals, -arrivals]))
    ends, latest, earliest = of_group * [[1], [1], [-1]]
    last, first = world.highest(np.stack([ends - latest, ends - earliest]))
    means, flags = world.mean(seconds), world.highest(flags)
    by_rank = world.gathered(seconds)
    late, wrong, units, held = flags.T
    if wrong.any():
        track.wrong += int(wrong.sum())
        words = next((sample.words for sample in samples if sample.words), None)
        track.words = track.words or world.first_words(words)
    if held.any():
        track.throttled = track.throttled or world.first_words(throttled)
    track.units = max(track.units, float(units.max()))
    track.late += int(late.sum())
    track.spent += time.perf_counter() - begin
    good = late == 0
    rows = list(by_rank.T[good]) if len(by_rank) else []
    return Block(list(last[good]), list(means[good]), rows, list(first[good]))


def _flags(sample: Sample, throttled: bool) -> tuple[float, ...]:
    return float(sample.late), float(sample.finding.wrong), sample.finding.units, float(throttled)


def warm_up(world: World, track: Track, sweep: Limits) -> float:
    """Make at least ``sweep.warmup`` calls, then continue until the median is steady or a quarter of the time is spent.

    Returns the last median in seconds per call, 0 where every sample was late; the same on every rank.
    """
    count = max(2, -(-sweep.warmup // track.operation.rounds.calls))
    before = now = 0.0
    for _ in range(WARM_BLOCKS):
        seconds = take(world, track, count).seconds
        track.warmups += count
        before, now = now, median(seconds) if seconds else 0.0
        if world.bcast(abs(now - before) < STEADY * now or track.spent > sweep.max_seconds / 4):
            break
    each = track.spent / track.warmups
    track.block = world.bcast(max(SMALLEST_BLOCK, min(LARGEST_BLOCK, round(BLOCK_SECONDS / each))))
    track.spent = 0.0
    return world.bcast(now)


def is_done(track: Track, sweep: Limits) -> bool:
    """Whether ``track`` has enough samples; only rank 0's answer counts."""
    have = len(track.seconds)
    if sweep.samples is not None:
        return have >= sweep.samples or track.late > 10 * sweep.samples
    known = have >= FEWEST and all(relative_width(each) < WIDTH for each in (track.seconds, track.firsts))
    if track.wrong or have >= MOST or known:
        return True
    return track.spent > sweep.max_seconds and (have >= 6 or track.spent > 10 * sweep.max_seconds)


def add_block(world: World, track: Track, sweep: Limits) -> bool:
    """Measure one more block and return whether the track is done. The first sample after a switch is dropped."""
    count = track.block
    if sweep.samples is not None:
        count = min(count, sweep.samples - len(track.seconds))
    found = take(world, track, count + 1)
    track.seconds += found.seconds[1:]
    track.means += found.means[1:]
    track.by_rank += found.by_rank[1:]
    track.firsts += found.firsts[1:]
    return world.bcast(is_done(track, sweep))


def disturbance(world: World, track: Track) -> str | None:
    """A remark where latency differs from that in blocks without the other backends, else None."""
    if len(track.seconds) < 6:
        return None
    take(world, track, track.block)
    alone = take(world, track, max(track.block, 6)).seconds
    if len(alone) < 6:
        return None
    low, high = median_interval(alone)
    mixed_low, mixed_high = median_interval(track.seconds)
    change = median(track.seconds) / median(alone)
    if max(change, 1 / change) < DISTURBED or (low <= mixed_high and mixed_low <= high):
        return None
    mixed = median(track.seconds)
    return (
        f"latency differs when timed without the other backends: {median(alone) * 1e6:.4g} us instead of "
        f"{mixed * 1e6:.4g} us"
    )
