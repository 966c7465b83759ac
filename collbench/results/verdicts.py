"""What launches allow to say of the ratio of two latencies: its interval over launches, and a verdict.

A launch is one replicate: launches differ several times more than their samples explain, so that an interval inside a
launch says nothing about the next one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from collbench.results.statistics import CONFIDENCE, mean_interval, spread, student_quantile

FEWEST_LAUNCHES = 3
LEAST_SPREAD = 0.0005  # of log latencies between launches: a few equal medians do not prove that nothing varies
RUNS_DIFFER = 0.04  # two runs of the same code were up to 3.9 % apart; launches of one run do not show it
LIKE_THESE = "launches like these"


def confidence_of(together: int) -> float:
    """The confidence of each of ``together`` intervals that all hold with 95 % (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / together


@dataclass(frozen=True)
class Ratio:
    """The ratio a/b of latencies, a geometric mean over ``launches``: pairs, or those of the shorter of two runs.

    ``low`` and ``high`` bound it for launches like these; None below three launches. ``together`` ratios are judged at
    once: all their intervals hold with 95 %. ``paired``: both sides ran in each launch.
    """

    value: float
    low: float | None
    high: float | None
    launches: int
    together: int = 1
    paired: bool = True

    @property
    def confidence(self) -> float:
        """The confidence of this interval alone."""
        return confidence_of(self.together)

    @property
    def covers(self) -> str:
        """What the interval holds for; "" if there is none."""
        if self.low is None:
            return ""
        return LIKE_THESE if self.paired else f"{LIKE_THESE}, of these two runs"

    @property
    def verdict(self) -> str:
        """``slower`` or ``faster`` for a, or ``unclear`` if the interval contains 1, or there is none; unpaired, only
        beyond what two runs of the same code differ by."""
        if self.low is None or self.high is None:
            return f"unclear ({counted_launches(self.launches)})"
        most = 1.0 if self.paired else 1 + RUNS_DIFFER
        if self.low > most:
            return "slower"
        return "faster" if self.high < 1 / most else "unclear"


def counted_launches(count: int) -> str:
    """A number of launches in words: ``1 launch``, ``2 launches``."""
    return f"{count} launch{'es' * (count != 1)}"


def paired_ratio(a: Sequence[float], b: Sequence[float], together: int = 1) -> Ratio:
    """Ratio a/b of latencies, one pair for each launch in which both ran; at least one pair.

    The interval is Student's, of the mean log ratio, at 1 - 0.05/``together``: of so many equal pairs of backends, any
    is called slower or faster in at most 5 % of tables.
    """
    logs = [math.log(x / y) for x, y in zip(a, b, strict=True)]
    found = None
    if len(logs) >= FEWEST_LAUNCHES:
        found = mean_interval(logs, confidence_of(together), LEAST_SPREAD)
    return _ratio(fmean(logs), found, len(logs), together, True)


def unpaired_ratio(a: Sequence[float], b: Sequence[float], together: int = 1) -> Ratio:
    """Ratio a/b of latencies over launches that have nothing in common, such as those of two runs; at least one a side.

    The interval is Welch's, of the difference of the mean logs (B. L. Welch, Biometrika 34, 1947), at
    1 - 0.05/``together``. It does not cover what varies between runs beyond their launches.
    """
    one, other = ([math.log(each) for each in side] for side in (a, b))
    middle, launches = fmean(one) - fmean(other), min(len(one), len(other))
    found = None
    if launches >= FEWEST_LAUNCHES:
        reach = _welch_reach(one, other, confidence_of(together))
        found = (middle - reach, middle + reach)
    return _ratio(middle, found, launches, together, False)


def _welch_reach(one: Sequence[float], other: Sequence[float], confidence: float) -> float:
    """Half the width of the interval, with the degrees of freedom of Welch and Satterthwaite.

    They are no more than those of two sides as long as the shorter one. With 3 launches against 10, the 3 may agree by
    chance, and the formula then credits the sum with the freedom of the 10: 12 % of tables of 15 sizes would be false.
    """
    parts = [(max(spread(side), LEAST_SPREAD) ** 2 / len(side), len(side) - 1) for side in (one, other)]
    variance = math.fsum(part for part, _ in parts)
    freedom = variance**2 / math.fsum(part**2 / degrees for part, degrees in parts)
    least = min(degrees for _, degrees in parts)
    return student_quantile(confidence, min(freedom, 2 * least)) * math.sqrt(variance)


def _ratio(middle: float, found: tuple[float, float] | None, launches: int, together: int, paired: bool) -> Ratio:
    low, high = map(math.exp, found) if found else (None, None)
    return Ratio(math.exp(middle), low, high, launches, together, paired)
