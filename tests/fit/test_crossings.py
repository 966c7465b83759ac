"""Sizes at which one backend becomes quicker than another."""

from __future__ import annotations

import pytest

from collbench.fit.crossings import crossings
from collbench.fit.curves import Curve, Point
from collbench.fit.families import family_of
from collbench.fit.fitting import Fit, fit_curve

SIZES = [1 << power for power in range(12, 27, 2)]


def fit(backend: str, start: float, byte_ns: float, wobble: float = 1.0) -> Fit:
    points = tuple(
        Point(size, 2, 1, (start + size * byte_ns / 1e3) * wobble ** (-1) ** place) for place, size in enumerate(SIZES)
    )
    return fit_curve(Curve(backend, family_of("mpi-ring", "all_reduce", on_host=True), points), "x.csv")


def test_two_lines_cross_where_they_are_equal() -> None:
    (found,) = crossings([fit("late", 10, 0.01), fit("early", 2, 0.03)])
    assert (found.small, found.large, found.world) == ("early", "late", (2, 1))
    assert found.size == pytest.approx(8 / 0.02 * 1e3, rel=0.01)
    assert found.low == pytest.approx(found.high, rel=0.02)


def test_scatter_widens_the_interval() -> None:
    (found,) = crossings([fit("late", 10, 0.01, wobble=1.05), fit("early", 2, 0.03, wobble=1.05)])
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.size < found.high
    assert found.high > 1.05 * found.low


def test_none_where_one_is_always_quicker() -> None:
    assert crossings([fit("a", 2, 0.01), fit("b", 4, 0.02)]) == []


def test_a_crossing_that_hangs_on_few_cases_is_uncertain() -> None:
    found = crossings([fit("a", 4.0, 0.0102, wobble=1.2), fit("b", 4.1, 0.01, wobble=1 / 1.2)])
    assert found
    assert all(each.low is None for each in found)
