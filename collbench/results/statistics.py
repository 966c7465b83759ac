"""Statistics of samples and of ratios, independent of clocks, files and backends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95
FEWEST_FOR_INTERVAL = 6  # below 6 samples no pair of order statistics covers the median with 95 %


@dataclass(frozen=True)
class Summary:
    """Statistics of one case, all in the unit of the samples."""

    median: float
    ci_low: float
    ci_high: float
    min: float
    p05: float
    p95: float
    p99: float
    max: float


@lru_cache(maxsize=1024)
def median_ranks(n: int) -> tuple[int, int] | None:
    """Indices of the order statistics of ``n`` samples that enclose the median with 95 % confidence.

    The number of samples below the median is binomial(n, 1/2) whatever their distribution (David & Nagaraja,
    Order Statistics, 7.1). None if no pair of samples reaches the confidence.
    """
    if n < FEWEST_FOR_INTERVAL:
        return None
    tail, low = 0.0, 0
    while True:
        tail += math.exp(math.lgamma(n + 1) - math.lgamma(low + 1) - math.lgamma(n - low + 1) - n * math.log(2))
        if 2 * tail > 1 - CONFIDENCE:
            break
        low += 1
    return (low - 1, n - low) if low else None


def median_interval(samples: ArrayLike) -> tuple[float, float]:
    """95 % interval of the median from order statistics; (-inf, inf) below six samples."""
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    ranks = median_ranks(len(ordered))
    return (float(ordered[ranks[0]]), float(ordered[ranks[1]])) if ranks else (-math.inf, math.inf)


def relative_width(samples: ArrayLike) -> float:
    """Width of the interval of the median, relative to the median; infinite below six samples."""
    low, high = median_interval(samples)
    return (high - low) / float(np.median(np.asarray(samples)))


def summarise(samples: ArrayLike) -> Summary:
    """Median with its interval, extremes and percentiles of at least one sample."""
    values = np.asarray(samples, dtype=np.float64)
    p05, median, p95, p99 = (float(v) for v in np.percentile(values, [5, 50, 95, 99]))
    low, high = median_interval(values)
    return Summary(median, low, high, float(values.min()), p05, p95, p99, float(values.max()))


@dataclass(frozen=True)
class Ratio:
    """Ratio of the latencies a/b with its 95 % interval, from ``launches`` independent pairs."""

    value: float
    low: float
    high: float
    launches: int

    @property
    def verdict(self) -> str:
        """``slower`` or ``faster`` for a, or ``unclear`` if the interval contains 1."""
        if self.low > 1:
            return "slower"
        return "faster" if self.high < 1 else "unclear"


@dataclass(frozen=True)
class Timing:
    """Median and interval of one launch, in any unit."""

    median: float
    low: float
    high: float


def _middle(side: Sequence[Timing]) -> Timing:
    """Median over launches, with the interval over launches from six on, else the hull of those within launches."""
    medians = [timing.median for timing in side]
    if len(medians) >= FEWEST_FOR_INTERVAL:
        return Timing(float(np.median(medians)), *median_interval(medians))
    return Timing(float(np.median(medians)), min(t.low for t in side), max(t.high for t in side))


def unpaired_ratio(a: Sequence[Timing], b: Sequence[Timing]) -> Ratio:
    """Ratio a/b of medians over unpaired launches, such as those of two runs."""
    one, other = _middle(a), _middle(b)
    high = one.high / other.low if other.low else math.inf
    return Ratio(one.median / other.median, one.low / other.high, high, min(len(a), len(b)))


def ratio(a: Sequence[Timing], b: Sequence[Timing]) -> Ratio:
    """Ratio a/b of per-launch medians, launch i of a against launch i of b.

    From six launches on, the interval is that of the median ratio over launches, which covers the noise between
    launches. With fewer, it is the widest that the intervals within the launches allow: it does not cover the noise
    between launches; ``launches`` shows which one it is.
    """
    ratios = [x.median / y.median for x, y in zip(a, b, strict=False)]
    value = float(np.exp(np.median(np.log(ratios))))
    if len(ratios) >= FEWEST_FOR_INTERVAL:
        return Ratio(value, *median_interval(ratios), len(ratios))
    pairs = list(zip(a, b, strict=False))
    low = min(x.low / y.high for x, y in pairs)
    high = max(x.high / y.low if y.low else math.inf for x, y in pairs)
    return Ratio(value, low, high, len(ratios))


def _student_within(angle: float, freedom: int) -> float:
    """P(|T| <= sqrt(freedom) tan(angle)) for Student's t, a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    first = freedom % 2
    term, total = math.cos(angle) ** first, 0.0
    for power in range(first, freedom - 1, 2):
        term *= math.cos(angle) ** 2 * (power - 1) / power if power > first else 1.0
        total += term
    value = math.sin(angle) * total
    return 2 / math.pi * (angle + value) if first else value


def student_quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| <= t) = ``confidence`` for ``freedom`` degrees of freedom, found by bisection."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_within(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Student's t interval of the mean of at least two values."""
    middle, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    reach = student_quantile(confidence, len(values) - 1) * error
    return middle - reach, middle + reach
