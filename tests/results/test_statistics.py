"""Statistics against exact counting, simulation and hand-made numbers."""

from __future__ import annotations

import math
import statistics
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collbench.results.statistics import Ratio, Timing, median_interval, median_ranks, ratio, relative_width, summarise

MEDIANS = st.lists(st.floats(0.1, 1000), min_size=1, max_size=12)


def exact_ranks(n: int) -> tuple[int, int] | None:
    """The narrowest symmetric pair of order statistics with at least 95 %, in whole numbers.

    Samples ``low`` and ``n - 1 - low`` miss the median where at most ``low`` samples fall on one side of it.
    """
    outcomes = accumulate(math.comb(n, below) for below in range(n // 2 + 1))
    confident = [low for low, tail in enumerate(outcomes) if 2 * tail * 20 <= 2**n]
    return (confident[-1], n - 1 - confident[-1]) if confident else None


@pytest.mark.parametrize("n", [*range(120), 500, 1001])
def test_the_interval_is_the_narrowest_that_is_confident(n: int) -> None:
    assert median_ranks(n) == exact_ranks(n)


def test_six_samples_are_the_fewest() -> None:
    assert [median_ranks(n) for n in (0, 1, 5, 6, 8, 9)] == [None, None, None, (0, 5), (0, 7), (1, 7)]


@pytest.mark.parametrize("n", [6, 15, 40])
def test_the_interval_covers_the_median_of_skewed_noise(n: int) -> None:
    trials, draw = 3000, np.random.default_rng(n)
    intervals = [median_interval(draw.exponential(1.0, n)) for _ in range(trials)]
    covered = sum(low <= math.log(2) <= high for low, high in intervals) / trials
    assert 0.94 < covered < 0.985


def test_few_samples_give_no_interval() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == (-math.inf, math.inf)
    assert relative_width([3.0, 1.0, 2.0]) == math.inf


def test_the_width_is_relative_to_the_median() -> None:
    assert relative_width([12.0, 8.0, 9.0, 11.0, 10.0, 10.0]) == pytest.approx(0.4)


def test_summarise_takes_percentiles_of_samples_in_any_order() -> None:
    samples = np.random.default_rng(1).permutation(np.arange(0.0, 101.0))
    found = summarise(samples)
    assert (found.min, found.p05, found.median, found.p95, found.p99, found.max) == (0, 5, 50, 95, 99, 100)
    assert (found.ci_low, found.ci_high) == (40, 60)  # binomial(101, 1/2): samples 40 and 60 enclose it with 95.4 %


def test_percentiles_between_samples_are_interpolated() -> None:
    found = summarise([10.0, 20.0])
    assert (found.p05, found.median, found.p95) == pytest.approx((10.5, 15.0, 19.5))


def test_one_sample_is_its_own_summary() -> None:
    found = summarise([7.0])
    assert {found.min, found.p05, found.median, found.p95, found.p99, found.max} == {7.0}
    assert (found.ci_low, found.ci_high) == (-math.inf, math.inf)


def around(median: float, width: float) -> Timing:
    """A launch whose interval is ``median`` ± ``width``."""
    return Timing(median, median - width, median + width)


def test_one_launch_has_the_widest_interval_its_sides_allow() -> None:
    found = ratio([around(20, 2)], [around(10, 2)])
    assert found == Ratio(2.0, 18 / 12, 22 / 8, 1)


def test_fewer_than_six_launches_have_the_widest_of_all_intervals() -> None:
    a, b = [around(median, 1) for median in (10, 11, 12, 13, 14)], [around(10, 1)] * 5
    found = ratio(a, b)
    assert found.value == pytest.approx(1.2)
    assert (found.low, found.high, found.launches) == (9 / 11, 15 / 9, 5)


def test_from_six_launches_on_the_interval_is_that_of_the_launches() -> None:
    medians = [10, 11, 12, 13, 14, 15]
    found = ratio([around(median, 9) for median in medians], [around(10, 9)] * 6)
    assert (found.low, found.high, found.launches) == (1.0, 1.5, 6)
    assert found.value == pytest.approx(math.sqrt(1.2 * 1.3))


def test_launches_are_compared_in_pairs() -> None:
    """A drift that both sides share cancels."""
    drift = [10.0 * 2**launch for launch in range(6)]
    found = ratio([around(2 * us, 0) for us in drift], [around(us, 0) for us in drift])
    assert found.value == pytest.approx(2)
    assert (found.low, found.high) == (2, 2)


@settings(deadline=None)
@given(MEDIANS, MEDIANS)
def test_ratios_are_symmetric_and_inside_their_interval(a: list[float], b: list[float]) -> None:
    mine, theirs = ([around(median, 0.01) for median in side] for side in (a, b))
    there, back = ratio(mine, theirs), ratio(theirs, mine)
    assert there.launches == min(len(a), len(b))
    assert there.low <= there.value * (1 + 1e-12)
    assert there.value <= there.high * (1 + 1e-12)
    assert there.value == pytest.approx(1 / back.value)
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))
    assert there.value == pytest.approx(
        math.exp(statistics.median(math.log(x / y) for x, y in zip(a, b, strict=False)))
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.01, 1.5, "slower"), (0.5, 0.99, "faster"), (0.9, 1.1, "unclear"), (1.0, 1.1, "unclear"), (0.9, 1.0, "unclear")],
)
def test_a_verdict_needs_an_interval_without_1(low: float, high: float, verdict: str) -> None:
    assert Ratio(math.sqrt(low * high), low, high, 6).verdict == verdict


# A run with --samples 5 has rows like these.
def test_launches_without_an_interval_give_an_unclear_ratio() -> None:
    found = ratio([Timing(2.0, 0.0, math.inf)], [Timing(1.0, 0.0, math.inf)])
    assert found.value == pytest.approx(2)
    assert (found.low, found.high, found.verdict) == (0, math.inf, "unclear")
