"""Statistics of samples against exact counting, simulation and hand-made numbers."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import pytest

from collbench.results.statistics import (
    beats_chance,
    binomial_tail,
    median_interval,
    median_ranks,
    relative_width,
    student_quantile,
    summarise,
)


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


def test_degrees_of_freedom_need_not_be_whole() -> None:
    t = np.linspace(0, student_quantile(0.99, 2.5), 100_001)
    density = (1 + t**2 / 2.5) ** -1.75 * math.gamma(1.75) / math.gamma(1.25) / math.sqrt(2.5 * math.pi)
    assert 2 * float(np.sum(density[1:] + density[:-1]) / 2 * t[1]) == pytest.approx(0.99, abs=1e-6)


@pytest.mark.parametrize("trials", [1, 7, 60])
@pytest.mark.parametrize("kinds", [2, 3, 16])
def test_the_tail_of_the_binomial_is_that_of_exact_counting(trials: int, kinds: int) -> None:
    exact = [math.comb(trials, hits) * (kinds - 1) ** (trials - hits) for hits in range(trials + 1)]
    for hits in range(trials + 2):
        assert binomial_tail(hits, trials, 1 / kinds) == pytest.approx(sum(exact[hits:]) / kinds**trials, rel=1e-9)


def test_what_beats_chance_is_rare_where_all_are_equally_likely() -> None:
    draw, trials = np.random.default_rng(5), 4000
    for kinds, length in ((2, 12), (4, 9), (16, 200)):
        most = [int(np.bincount(draw.integers(kinds, size=length)).max()) for _ in range(trials)]
        assert sum(beats_chance(hits, length, kinds) for hits in most) / trials <= 0.06
    assert [beats_chance(hits, hits, 4) for hits in (3, 4)] == [False, True]  # 1/16, 1/64
    assert [beats_chance(4, 4, 4, together) for together in (3, 4)] == [True, False]
