"""Verdicts on runs that did not run together: a file a side, or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from collbench.check.decision import Finding, change_of, logs_of, middle_us, missing_rows, per_cent, too_few
from collbench.check.rule import (
    ERROR,
    FEWEST,
    Bounds,
    Floats,
    Verdict,
    Words,
    log_margin,
    mean_and_variance,
    student_bounds,
    verdicts,
)

MARGIN = 0.04  # two runs of the same source differ by more than their launches show
FEWEST_FOR_SAME = 5  # runs a side
WIDE = "the margin is within the bounds"

Runs = Sequence[Sequence[float]]  # microseconds of one size: run by run, launch by launch


@dataclass(frozen=True)
class Sides:
    """One size on both sides, with at least one run each; runs may differ in launches, or have none of this size.

    ``step_us`` is the step of the timer in microseconds of one call.
    """

    base_us: Runs
    candidate_us: Runs
    step_us: float = 0.0


def judge_runs(sizes: Sequence[Sides], margin: float = MARGIN) -> tuple[Finding, ...]:
    """Findings from runs at different times, for all sizes that were planned (at least one), by Welch's bounds.

    With one run a side its launches are the replicates: the bounds do not cover what differs between runs, the large
    margin does, and nothing is said to be the same. With several, a replicate is the median over a run's launches, and
    ``same`` is said from FEWEST_FOR_SAME runs a side on.
    """
    several = any(len(side) > 1 for size in sizes for side in (size.base_us, size.candidate_us))
    base = logs_of([_replicates(size.base_us, several) for size in sizes])
    candidate = logs_of([_replicates(size.candidate_us, several) for size in sizes])
    found = welch(base, candidate, ERROR / len(sizes))
    margins = log_margin(margin, np.array([size.step_us for size in sizes]), base)
    said = zip(verdicts_on_runs(found, margins, several), base, candidate, strict=True)
    return tuple(
        _finding(Verdict(str(word)), one, other, found.at(place), float(margins[place]), several)
        for place, (word, one, other) in enumerate(said)
    )


def _replicates(runs: Runs, several: bool) -> Sequence[float]:
    """The launches of the only run, or the median of each run."""
    if not several:
        return runs[0]
    known = ([us for us in run if not math.isnan(us)] for run in runs)
    return [median(run) for run in known if run]


def welch(base: Floats, candidate: Floats, tail: float) -> Bounds:
    """Welch's one-sided bounds at ``tail`` of the difference of two means; ``number`` is that of the smaller side.

    ``base`` and ``candidate`` have logarithms of shape (..., sizes, replicates), with NaN where there are fewer. The
    degrees of freedom (Welch, 1947) are rounded down, which widens the bounds.
    """
    (base_mean, base_variance, n), (mean, variance, k) = mean_and_variance(base), mean_and_variance(candidate)
    one, other = base_variance / np.maximum(n, 1), variance / np.maximum(k, 1)
    number = np.minimum(n, k)
    parts = one**2 / np.maximum(n - 1, 1) + other**2 / np.maximum(k - 1, 1)
    freedom = np.where(number > 1, (one + other) ** 2 / parts, 0).astype(np.int64)
    return Bounds(mean - base_mean, student_bounds(tail, freedom) * np.sqrt(one + other), number)


def verdicts_on_runs(found: Bounds, margins: Floats, several: bool) -> Words:
    """The verdict for each size; ``same`` only from FEWEST_FOR_SAME runs on."""
    words = verdicts(found, margins)
    enough = FEWEST_FOR_SAME if several else math.inf
    return np.where((words == Verdict.SAME.value) & (found.number < enough), Verdict.UNCLEAR.value, words)


def _finding(
    verdict: Verdict, base: Floats, candidate: Floats, found: tuple[float, float, int], margin: float, several: bool
) -> Finding:
    mean, reach, number = found
    reason = ""
    if verdict is Verdict.MISSING:
        reason = missing_rows(base, candidate)
    elif verdict is Verdict.UNCLEAR and number < FEWEST:
        reason = too_few(number, "run" if several else "launch")
    elif verdict is Verdict.UNCLEAR:
        within = abs(mean) + reach < margin
        reason = f"within the margin, but same needs {FEWEST_FOR_SAME} runs a side" if within else WIDE
    return Finding(
        verdict=verdict,
        reason=reason,
        base_us=middle_us(base),
        candidate_us=middle_us(candidate),
        change=change_of(mean, reach) if number > 1 else None,
        margin=per_cent(margin),
        launches=number,
    )
