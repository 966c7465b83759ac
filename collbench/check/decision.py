"""The decision of a check after some of its launches: a finding for each size, and whether to measure on."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collbench.check.rule import (
    FEWEST,
    Floats,
    Rule,
    Verdict,
    alpha_of,
    bounds,
    log_margin,
    look_at,
    mean_and_variance,
    student_bound,
)
from collbench.results.statistics import CONFIDENCE, mean_interval

MOST_LAUNCHES = 200  # if even these would not decide, the change is on the margin
ODD = 5  # times the median absolute deviation
ON_THE_MARGIN = "never: on the margin"


@dataclass(frozen=True)
class Series:
    """One size, launch by launch: microseconds of both sides, which ran together; NaN where a row is missing.

    ``step_us`` is the step of the timer in microseconds of one call. A series may end before others do.
    """

    base_us: Sequence[float]
    candidate_us: Sequence[float]
    step_us: float = 0.0


@dataclass(frozen=True)
class Change:
    """A change of the latency from base to candidate, and its bounds, in per cent of the base."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Finding:
    """What is known of one size; ``reason`` says why it is unclear or missing.

    Microseconds are geometric means over the replicates that count, so that they agree with ``change``; ``change`` is
    None below two of them. ``margin`` is in per cent. ``odd`` are launches, counted from 0, far from the mean.
    """

    verdict: Verdict
    reason: str
    base_us: float | None
    candidate_us: float | None
    change: Change | None
    margin: float
    launches: int
    odd: tuple[int, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Findings for all sizes in their order, and the number of launches at the next look, None if the check is over."""

    findings: tuple[Finding, ...]
    next_look: int | None

    @property
    def undecided(self) -> tuple[int, ...]:
        """Places of the sizes to be timed until the next look; () if the check is over."""
        if self.next_look is None:
            return ()
        return tuple(place for place, each in enumerate(self.findings) if each.verdict is Verdict.UNCLEAR)


def decide(series: Sequence[Series], rule: Rule) -> Decision:
    """The decision after the launches so far, for all sizes that were planned (at least one), missing ones included.

    The step of the timer is compared with the base of the launches before the first look, so that margins stay.
    """
    base, candidate = logs_of([each.base_us for each in series]), logs_of([each.candidate_us for each in series])
    launches = max(base.shape[-1], candidate.shape[-1])
    base, candidate = widened(base, launches), widened(candidate, launches)
    steps = np.array([each.step_us for each in series])
    margins = log_margin(rule.margin, steps, base[:, : rule.looks[0]])
    looked = look_at(candidate - base, margins, rule)
    findings = tuple(
        _finding(Verdict(str(verdict)), one[:look], other[:look], float(margin), rule.alpha / len(series), len(series))
        if look
        else _unseen(one, other, float(margin), rule.looks[0])
        for verdict, look, one, other, margin in zip(looked.verdict, looked.look, base, candidate, margins, strict=True)
    )
    return Decision(findings, _next_look([each.verdict for each in findings], launches, rule))


def logs_of(rows: Sequence[Sequence[float]]) -> Floats:
    """Logarithms of rows of unequal length, filled with NaN."""
    return np.log(np.stack([widened(np.asarray(row, dtype=np.float64), max(map(len, rows))) for row in rows]))


def widened(values: Floats, width: int) -> Floats:
    """The last axis filled with NaN up to ``width``."""
    return np.concatenate([values, np.full((*values.shape[:-1], width - values.shape[-1]), math.nan)], axis=-1)


def _next_look(verdicts: Sequence[Verdict], launches: int, rule: Rule) -> int | None:
    if Verdict.UNCLEAR not in verdicts or (rule.fail_fast and Verdict.SLOWER in verdicts):
        return None
    return next((look for look in rule.looks if look > launches), None)


def _finding(verdict: Verdict, base: Floats, candidate: Floats, margin: float, tail: float, sizes: int) -> Finding:
    """The finding for one size, from the logarithms that its verdict stands on."""
    logs = candidate - base
    mean, reach, pairs = bounds(logs[None], tail).at(0)
    base_us, candidate_us = _middles_us(base, candidate)
    return Finding(
        verdict=verdict,
        reason=_reason(verdict, base, candidate, margin, sizes),
        base_us=base_us,
        candidate_us=candidate_us,
        change=change_of(mean, reach) if pairs > 1 else None,
        margin=per_cent(margin),
        launches=pairs,
        odd=odd_launches(logs, margin),
    )


def _unseen(base: Floats, candidate: Floats, margin: float, first: int) -> Finding:
    """What is known of one size before its first look, at ``first`` launches: nothing about its change."""
    pairs = int(np.count_nonzero(~np.isnan(candidate - base)))
    reason = f"the first look is at {first} launches"
    return Finding(Verdict.UNCLEAR, reason, *_middles_us(base, candidate), None, per_cent(margin), pairs)


def _middles_us(base: Floats, candidate: Floats) -> tuple[float | None, float | None]:
    """The geometric means of both sides over the launches that both have, or each over its own if there are none."""
    both = ~np.isnan(candidate - base)
    counts = both if both.any() else np.full(both.shape, True)
    return middle_us(base[counts]), middle_us(candidate[counts])


def _reason(verdict: Verdict, base: Floats, candidate: Floats, margin: float, sizes: int) -> str:
    if verdict is Verdict.MISSING:
        return missing_rows(base, candidate)
    if verdict is not Verdict.UNCLEAR:
        return ""
    logs = candidate - base
    if (pairs := int(np.count_nonzero(~np.isnan(logs)))) < FEWEST:
        return too_few(pairs, "launch")
    number = launches_needed(logs, margin, sizes)
    return f"about {number} launches would decide" if number else ON_THE_MARGIN


def missing_rows(base: Floats, candidate: Floats) -> str:
    """The side, or the sides, of which a size has no row."""
    sides = [side for side, rows in (("base", base), ("candidate", candidate)) if np.isnan(rows).all()]
    return f"no row of {' and '.join(sides)}" if sides else "no launch with both sides"


def too_few(number: int, name: str) -> str:
    """That there are only so many launches, or runs."""
    plural = "es" if name.endswith("ch") else "s"
    return f"{number} {name}{plural if number != 1 else ''}"


def middle_us(logs: Floats) -> float | None:
    """Geometric mean in microseconds of logarithms without NaN; None if there are none."""
    known = logs[~np.isnan(logs)]
    return math.exp(float(known.mean())) if known.size else None


def change_of(mean: float, reach: float) -> Change:
    """Logarithms as a change in per cent."""
    return Change(per_cent(mean), per_cent(mean - reach), per_cent(mean + reach))


def per_cent(log: float) -> float:
    """A log ratio as a change in per cent, which is always finite."""
    return 100 * math.expm1(min(log, 700))


def launches_needed(logs: Floats, margin: float, sizes: int) -> int | None:
    """How many launches would decide one of several sizes if its mean and spread stayed as they are.

    It is the least number at which the bounds are nearer to the mean than the margin is; None above MOST_LAUNCHES.
    """
    mean, variance, number = (each[0] for each in mean_and_variance(logs[None]))

    def decides(launches: int) -> bool:
        reach = student_bound(alpha_of(launches) / sizes, launches - 1) * math.sqrt(variance / launches)
        return bool(reach < abs(margin - abs(mean)))

    more = range(int(number) + 1, MOST_LAUNCHES + 1)
    place = bisect.bisect(more, False, key=decides)
    return more[place] if place < len(more) else None


def odd_launches(logs: Floats, margin: float) -> tuple[int, ...]:
    """Launches farther from the mean than the margin and than ODD median absolute deviations.

    A mode that occurs in a fraction f of all launches is absent from k launches with probability (1 - f)^k.
    """
    known = logs[~np.isnan(logs)]
    if not known.size:
        return ()
    deviation = float(np.median(np.abs(known - np.median(known))))
    far = np.abs(logs - known.mean()) > max(margin, ODD * deviation)
    return tuple(int(launch) for launch in np.flatnonzero(far))


def band_change(series: Sequence[Series]) -> Change | None:
    """The mean change of a band of sizes, for information only, with Student's interval at 95 %.

    A replicate is the mean over the sizes of one launch; launches that did not time all of them are left out. None
    below FEWEST launches.
    """
    base, candidate = logs_of([each.base_us for each in series]), logs_of([each.candidate_us for each in series])
    width = min(base.shape[-1], candidate.shape[-1])
    means = (candidate[:, :width] - base[:, :width]).mean(axis=0)
    whole = means[~np.isnan(means)]
    if len(whole) < FEWEST:
        return None
    low, high = mean_interval(whole.tolist(), CONFIDENCE)
    return Change(*map(per_cent, (float(whole.mean()), low, high)))
