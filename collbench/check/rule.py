"""The rule of the gate: at which launches it looks, the bounds of a change, and what they allow to say.

A change is d = ln(candidate / base), one value for each size and launch. At every look each undecided size gets
Student's one-sided bounds at alpha / m, where m is the number of all sizes, decided or missing ones included. By
Bonferroni over looks and sizes the probabilities of any false ``slower``, any false ``faster`` and any false ``same``
are at most ERROR each.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from collbench.errors import UsageError
from collbench.results.statistics import student_quantile

ERROR = 0.05  # over all sizes and looks, for each of the three verdicts
FEWEST = 3  # replicates, below which nothing is said
FIRST_LOOK, GROWTH = 5, 1.4
CAP = 20
MARGIN = 0.02
LEAST_SPREAD = 0.0005  # equal values in a few launches do not show that there is no noise

Floats = NDArray[np.float64]
Words = NDArray[np.str_]


class Verdict(enum.StrEnum):
    """What is said of the candidate at one size."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNCLEAR = "unclear"
    MISSING = "missing"


@dataclass(frozen=True)
class Rule:
    """What is fixed before measuring.

    ``margin`` is a relative change that does not matter yet; ``looks`` are numbers of launches; ``alpha`` is the
    one-sided error of one look over all sizes; ``fail_fast`` ends a check at the first size that is slower.
    """

    margin: float
    looks: tuple[int, ...]
    alpha: float
    fail_fast: bool = False


def rule_of(margin: float = MARGIN, cap: int = CAP, fail_fast: bool = False) -> Rule:
    """The rule for a margin (0.02 is 2 %) and at most ``cap`` launches.

    Raises UsageError for a margin that is not positive and for a cap below FEWEST.
    """
    if not 0 < margin < math.inf:
        raise UsageError(f"a margin of {margin:.3g} is not above 0; give one such as 2%.")
    if cap < FEWEST:
        raise UsageError(f"a check needs at least {FEWEST} launches, not {cap}; it looks first at {FIRST_LOOK}.")
    return Rule(margin, tuple(looks_of(cap)), alpha_of(cap), fail_fast)


def alpha_of(cap: int) -> float:
    """The one-sided error of one look: that of the usual looks, or less where a cap above CAP has more of them."""
    return ERROR / max(len(tuple(looks_of(cap))), len(tuple(looks_of(CAP))))


def looks_of(cap: int) -> Iterator[int]:
    """5, 7, 10, 14, 20, ... launches below the cap, and the cap."""
    look = FIRST_LOOK
    while look < cap:
        yield look
        look = round(look * GROWTH)
    yield cap


def log_margin(margin: float, step_us: Floats, base: Floats) -> Floats:
    """The margin as a logarithm for each size, at least two steps of the timer in microseconds of one call.

    ``base`` has logarithms of microseconds of shape (sizes, launches); a size that has none gets the margin as it is.
    """
    found: Floats = np.log1p(np.fmax(margin, 2 * step_us / np.exp(mean_and_variance(base)[0])))
    return found


@dataclass(frozen=True)
class Bounds:
    """Mean of the log differences, its distance to either bound, and the number of differences, for each size.

    The distance is NaN for fewer than two differences, the mean for none.
    """

    mean: Floats
    reach: Floats
    number: NDArray[np.int64]

    def at(self, place: int) -> tuple[float, float, int]:
        """Mean, distance and number of one size."""
        return float(self.mean[place]), float(self.reach[place]), int(self.number[place])


@lru_cache(maxsize=4096)
def student_bound(tail: float, freedom: int) -> float:
    """The t with P(T > t) = ``tail``; infinite without a degree of freedom."""
    return student_quantile(1 - 2 * tail, freedom) if freedom > 0 else math.inf


def student_bounds(tail: float, freedom: NDArray[np.int64]) -> Floats:
    """`student_bound` for each of many degrees of freedom."""
    each, places = np.unique(freedom, return_inverse=True)
    return np.array([student_bound(tail, int(one)) for one in each])[places].reshape(freedom.shape)


def mean_and_variance(logs: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Mean and sample variance (at least LEAST_SPREAD²) over the last axis without NaN, and the number of values."""
    number = np.count_nonzero(~np.isnan(logs), axis=-1)
    with np.errstate(invalid="ignore"):  # 0 / 0 of a size without a value is NaN, as it should be
        mean = np.nansum(logs, axis=-1) / number
        variance = np.nansum((logs - mean[..., None]) ** 2, axis=-1) / np.where(number > 1, number - 1, math.nan)
    return mean, np.maximum(variance, LEAST_SPREAD**2), number


def bounds(logs: Floats, tail: float) -> Bounds:
    """Student's one-sided bounds at ``tail`` of the mean over launches.

    ``logs`` has log differences of shape (..., sizes, launches), NaN where a launch has none.
    """
    mean, variance, number = mean_and_variance(logs)
    return Bounds(mean, student_bounds(tail, number - 1) * np.sqrt(variance / np.maximum(number, 1)), number)


def verdicts(found: Bounds, margins: Floats) -> Words:
    """The verdict of one look for each size, none below FEWEST differences; ``same`` is that of two one-sided tests
    (Schuirmann, 1987)."""
    low, high = found.mean - found.reach, found.mean + found.reach
    says = {
        Verdict.MISSING: found.number == 0,
        Verdict.UNCLEAR: found.number < FEWEST,
        Verdict.SLOWER: low > margins,
        Verdict.FASTER: high < -margins,
        Verdict.SAME: (low > -margins) & (high < margins),
    }
    return np.select(list(says.values()), [verdict.value for verdict in says], Verdict.UNCLEAR.value)


@dataclass(frozen=True)
class Looked:
    """The verdict of each size, and the look that gave it: the last one for a size that is still unclear."""

    verdict: Words
    look: NDArray[np.int64]


def look_at(logs: Floats, margins: Floats, rule: Rule) -> Looked:
    """All looks at the launches so far; the first verdict other than ``unclear`` stays.

    ``logs`` has shape (..., sizes, launches), with all sizes that were planned: their number is the m of the rule.
    What comes after a size's verdict has no influence on it; ``look`` is 0 before the first look.
    """
    tail = rule.alpha / logs.shape[-2]
    verdict, look = np.full(logs.shape[:-1], Verdict.UNCLEAR.value), np.zeros(logs.shape[:-1], dtype=np.int64)
    for launches in rule.looks:
        if launches > logs.shape[-1]:
            break
        is_open = verdict == Verdict.UNCLEAR.value
        look = np.where(is_open, launches, look)
        verdict = np.where(is_open, verdicts(bounds(logs[..., :launches], tail), margins), verdict)
    return Looked(verdict, look)
