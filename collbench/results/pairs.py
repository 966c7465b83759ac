"""Pairing of the launches of two cases, their ratio, and which of several cases is the fastest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collbench.results.cases import CaseResult
from collbench.results.records import Record
from collbench.results.verdicts import FEWEST_LAUNCHES, Ratio, paired_ratio, unpaired_ratio

Pair = tuple[Record, Record]


def pairs(a: CaseResult, b: CaseResult) -> list[Pair]:
    """The rows of the same run and launch on both sides; [] if there are none, or if a side has no latency."""
    mine, theirs = ({(row.run_id, row.launch): row for row in case.timed} for case in (a, b))
    return [(row, theirs[key]) for key, row in mine.items() if key in theirs]


def ratio_within(a: CaseResult, b: CaseResult, together: int) -> Ratio:
    """The ratio a/b of two timed cases of one file, over the launches in which both ran; if there are none, over all
    launches of each, as `ratio_between` has it. ``together`` ratios are judged at once."""
    found = pairs(a, b)
    if not found:
        return ratio_between(a, b, together)
    return paired_ratio(_latencies(mine for mine, _ in found), _latencies(theirs for _, theirs in found), together)


def ratio_between(a: CaseResult, b: CaseResult, together: int) -> Ratio:
    """The ratio a/b of two timed cases of two runs. ``together`` ratios are judged at once."""
    return unpaired_ratio(_latencies(a.timed), _latencies(b.timed), together)


def _latencies(rows: Iterable[Record]) -> list[float]:
    return [row.latency_us_median for row in rows if row.latency_us_median is not None]


@dataclass(frozen=True)
class Fastest:
    """The case with the lowest median of those at one size, and its ``rivals`` by median, each with its ratio to it."""

    best: CaseResult
    rivals: tuple[tuple[CaseResult, Ratio], ...] = ()

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """The ratios of the rivals to the best."""
        return tuple(ratio for _, ratio in self.rivals)

    @property
    def lead(self) -> float | None:
        """How many times faster the best is than the next by median, at least 1; None if it is alone."""
        return max(1.0, self.ratios[0].value) if self.rivals else None

    @property
    def is_guess(self) -> bool:
        """Whether there are rivals, but for some too few launches for a verdict."""
        return any(ratio.launches < FEWEST_LAUNCHES for ratio in self.ratios)

    @property
    def ties(self) -> tuple[CaseResult, ...]:
        """The rivals that are not certainly slower; none without a verdict, since any of them may then be as fast."""
        return () if self.is_guess else tuple(case for case, ratio in self.rivals if ratio.verdict != "slower")


def fastest(panel: Iterable[CaseResult]) -> dict[int, Fastest]:
    """The fastest at each size (bytes) at which a case of one panel has a latency.

    All pairs at all sizes are judged together, since the data choose which of them are looked at: of equal backends,
    any is called slower than another in at most 5 % of panels.
    """
    fields: dict[int, list[CaseResult]] = {}
    for case in panel:
        if case.timed:
            fields.setdefault(case.record.bytes, []).append(case)
    together = sum(math.comb(len(field), 2) for field in fields.values())
    return {size: _fastest(field, together) for size, field in fields.items()}


def _fastest(timed: Sequence[CaseResult], together: int) -> Fastest:
    best, *rest = sorted(timed, key=_by_median)
    return Fastest(best, tuple((case, ratio_within(case, best, together)) for case in rest))


def _by_median(case: CaseResult) -> tuple[float, str]:
    return case.median() or math.inf, case.record.backend
