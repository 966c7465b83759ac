"""The slowest rank of a case is a finding only where it is no chance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from collbench.results.slowest import Slowest, slowest_of


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_a_rank_that_takes_longer_is_found(ranks: int) -> None:
    times = np.ones((20, ranks))
    times[:, 1] = 1.5
    times[:5, 1] = 0.5  # in a quarter of the samples it is quick
    assert slowest_of(times) == Slowest(1, 0.75, 1.5)


def test_the_ratio_is_that_of_the_same_sample() -> None:
    times = np.random.default_rng(3).uniform(1, 9, (30, 1)) * [1.0, 1.0, 1.1, 1.0]
    found = slowest_of(times)
    assert found is not None
    assert (found.rank, found.share) == (2, 1.0)
    assert found.ratio == pytest.approx(1.1)


def test_chance_is_no_finding() -> None:
    draw = np.random.default_rng(1)
    for ranks in (2, 4, 32):
        found = [slowest_of(draw.normal(1, 0.1, (25, ranks))) for _ in range(1000)]
        assert sum(each is not None for each in found) <= 60


def test_a_tie_counts_for_nobody() -> None:
    times = np.array([[1.0, 2.0, 2.0]] * 20)
    assert slowest_of(times) is None
    times[:11, 2] = 3.0
    assert slowest_of(times) is None  # 11 of 20 may be chance among three
    times[:, 2] = 3.0
    assert slowest_of(times) == Slowest(2, 1.0, 2.0)


@pytest.mark.parametrize("times", [np.array([]), np.empty((0, 4)), np.ones((9, 1)), np.ones((3, 4))])
def test_too_little_is_no_finding(times: NDArray[np.float64]) -> None:
    assert slowest_of(times) is None


def test_few_samples_suffice_among_many_ranks() -> None:
    times = np.ones((3, 64))
    times[:, 7] = 2.0
    assert slowest_of(times) == Slowest(7, 1.0, 2.0)
