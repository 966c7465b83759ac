"""Statistics of samples and of means, independent of clocks, files and backends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean

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


def binomial_tail(hits: int, trials: int, chance: float) -> float:
    """The probability of at least ``hits`` in ``trials`` independent trials that succeed with ``chance``, below 1."""
    if hits <= 0:
        return 1.0
    whole, odds = math.lgamma(trials + 1), (math.log(chance), math.log1p(-chance))
    terms = (
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * odds[0] + (trials - k) * odds[1])
        for k in range(hits, trials + 1)
    )
    return min(1.0, math.fsum(terms))


def beats_chance(hits: int, trials: int, kinds: int, together: int = 1) -> bool:
    """Whether one of ``kinds`` outcomes (at least two) came up more often than chance allows if all are equally likely:
    binomial, at 5 % for any of them in any of ``together`` such tests (Bonferroni)."""
    return binomial_tail(hits, trials, 1 / kinds) * kinds * together <= 0.05


def student_quantile(confidence: float, freedom: float) -> float:
    """The t with P(|T| <= t) = ``confidence`` for ``freedom`` degrees of freedom, which need not be whole."""
    from scipy.special import stdtrit  # a tenth of a second, which ranks and --help need not wait for

    return float(stdtrit(freedom, (1 + confidence) / 2))


def spread(values: Sequence[float]) -> float:
    """The standard deviation of what at least two values are drawn from. `statistics.stdev` takes ten times as long."""
    middle = fmean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def mean_interval(values: Sequence[float], confidence: float, least_spread: float = 0.0) -> tuple[float, float]:
    """Student's t interval of the mean of at least two values, whose standard deviation counts as no less than
    ``least_spread``."""
    middle, error = fmean(values), max(spread(values), least_spread) / math.sqrt(len(values))
    reach = student_quantile(confidence, len(values) - 1) * error
    return middle - reach, middle + reach
