"""Pairing of the launches of two cases, and their ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence

from collbench.results.cases import CaseResult
from collbench.results.records import Record
from collbench.results.statistics import Ratio, Timing, ratio

Pair = tuple[Record, Record]


def pairs(a: CaseResult, b: CaseResult) -> list[Pair]:
    """The rows of the same run and launch on both sides; if there are none, the rows in order, up to the shorter side.

    Empty if a side has no latency.
    """
    mine, theirs = ({(row.run_id, row.launch): row for row in case.timed} for case in (a, b))
    shared = [(row, theirs[key]) for key, row in mine.items() if key in theirs]
    return shared or list(zip(a.timed, b.timed, strict=False))


def timing(row: Record) -> Timing:
    """Median and interval of a row's latency in microseconds; a missing bound is 0 or infinity."""
    low, high = row.latency_us_ci_low, row.latency_us_ci_high
    middle = math.nan if row.latency_us_median is None else row.latency_us_median
    return Timing(middle, low or 0.0, math.inf if high is None else high)


def paired_ratio(found: Sequence[Pair]) -> Ratio:
    """The ratio of the first of each pair to the second, over at least one pair."""
    return ratio([timing(mine) for mine, _ in found], [timing(theirs) for _, theirs in found])
