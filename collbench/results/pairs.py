"""Pairing of the launches of two cases, their ratio, and which of several cases is the fastest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Fastest:
    """The case with the lowest median, and those that cannot be told from it (``ties``), by median.

    ``lead``: how many times faster the best is than the next by median, at least 1; None if it is alone.
    """

    best: CaseResult
    ties: tuple[CaseResult, ...]
    lead: float | None


def fastest(field: Iterable[CaseResult]) -> Fastest | None:
    """The fastest of several cases of one problem; None if none has a latency.

    A case cannot be told from the best if the interval of their ratio includes 1.
    """
    timed = sorted((case for case in field if case.timed), key=_by_median)
    if not timed:
        return None
    best, *rest = timed
    ratios = [paired_ratio(pairs(case, best)) for case in rest]
    ties = tuple(case for case, found in zip(rest, ratios, strict=True) if found.verdict != "slower")
    return Fastest(best, ties, max(1.0, ratios[0].value) if ratios else None)


def _by_median(case: CaseResult) -> tuple[float, str]:
    return case.median() or math.inf, case.record.backend
