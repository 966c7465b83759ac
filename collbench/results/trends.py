"""Whether the last nights of a series are slower than what came before: one rule for tables, charts and the alarm.

The reference is the fastest level that the series has held: the lowest median of WINDOW consecutive nights among the
REACH nights before the last two, or of all of them while there are fewer. A loss after a gain is therefore compared
with the gain, and a slow creep with where it began, which a reference that moves along would forgive. A night is beyond
the margin if it differs from the reference by more than MARGIN, and by more than nights differ by chance. That is taken
from their successive differences, few of which belong to a step or a bad night, and none much to a creep. One night is
no trend, since runs of the same code were up to 3.9 % apart; both of the last two must be beyond the margin.

Simulated: 15 sizes over 60 nights of 3 launches, so 810 decisions, without any change. With a standard deviation of
0.5 % between nights and 0.5 % between launches, 0.4 % of such histories have a false alarm; with 0.7 and 0.6 %, 5 %; if
the whole machine is 4 % off in one night of 50, 2 %; with 2 and 2 %, 7 %; with 15 and 20 %, as on CPU ranks, 9 %. With
0.5 and 0.5 %, after 30 nights, the first two nights of a step of 2 % sound the alarm in 26 % of series, of 3 % in 84 %,
of 4 % in 99 %; a creep of 0.1 % a night does so after 30 nights (median).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collbench.results.statistics import student_quantile

MARGIN = 0.02
LAST = 2  # nights that must agree
WINDOW = 14
REACH = 90  # nights: the lowest of ever more medians would be ever lower by chance
FEWEST = 5  # earlier nights, below which nothing is said
TAIL = 0.001  # one-sided, for one night by Student's t with as many degrees of freedom as there are differences
MEDIAN_VARIANCE = math.pi / 2  # of a median of many normal numbers, over that of their mean
UPPER_QUARTILE = 1.1503  # of the absolute value of a standard normal number

Floats = NDArray[np.float64]


class Trend(enum.StrEnum):
    """What is said of the last nights."""

    SLOWER = "slower"
    FASTER = "faster"
    SLOWER_ONCE = "slower last night"
    FASTER_ONCE = "faster last night"
    WITHIN = "within the margin"


@dataclass(frozen=True)
class Level:
    """What the last nights are compared with, for each series: the logarithms of the reference and of the margin."""

    reference: Floats
    margin: Floats


@dataclass(frozen=True)
class Judgement:
    """The trend of one series; ``before_us`` in microseconds, ``change`` of the last night against it and ``margin``
    as fractions: 0.02 is 2 %."""

    trend: Trend
    before_us: float
    change: float
    margin: float


def judge(nights_us: Sequence[float], margin: float = MARGIN) -> Judgement | None:
    """The judgement of a series from its positive latencies in microseconds, night by night; None below LAST + FEWEST
    nights."""
    if len(nights_us) < LAST + FEWEST:
        return None
    logs = np.log(np.asarray(nights_us, dtype=np.float64))
    found = level(logs, margin)
    beyond = beyond_margin(logs, found)
    change = math.expm1(logs[-1] - found.reference)
    return Judgement(_trend(beyond), math.exp(found.reference), change, math.expm1(found.margin))


def _trend(beyond: NDArray[np.int8]) -> Trend:
    """The trend of the last nights, each -1, 0 or 1 for below, within and above the margin."""
    if beyond[-1] == 0:
        return Trend.WITHIN
    if (beyond == beyond[-1]).all():
        return Trend.SLOWER if beyond[-1] > 0 else Trend.FASTER
    return Trend.SLOWER_ONCE if beyond[-1] > 0 else Trend.FASTER_ONCE


def level(logs: Floats, margin: float = MARGIN) -> Level:
    """Reference and margin of series with logarithms of shape (..., nights), at least LAST + FEWEST nights."""
    earlier = logs[..., -REACH - LAST : -LAST]
    width = min(WINDOW, earlier.shape[-1])
    windows = np.lib.stride_tricks.sliding_window_view(earlier, width, axis=-1)
    reference = np.median(windows, axis=-1).min(axis=-1)
    limit = student_quantile(1 - 2 * TAIL, earlier.shape[-1] - 1) * math.sqrt(1 + MEDIAN_VARIANCE / width)
    return Level(reference, np.maximum(np.log1p(margin), limit * night_spread(earlier)))


def night_spread(logs: Floats) -> Floats:
    """The standard deviation of nights around a level, from logarithms of shape (..., nights), at least two.

    It is that of normal noise with the same 75th percentile of absolute successive differences (after von Neumann,
    1941, who takes their mean square): up to a quarter of them may belong to steps and bad nights.
    """
    steps = np.quantile(np.abs(np.diff(logs, axis=-1)), 0.75, axis=-1)
    found: Floats = steps / (UPPER_QUARTILE * math.sqrt(2))
    return found


def beyond_margin(logs: Floats, found: Level) -> NDArray[np.int8]:
    """For each of the last nights, -1 below the margin, 1 above, 0 within; of shape (..., LAST)."""
    off = logs[..., -LAST:] - found.reference[..., None]
    outside = np.abs(off) > found.margin[..., None]
    return np.where(outside, np.sign(off), 0).astype(np.int8)
