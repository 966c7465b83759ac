"""Ticks that can be read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from collbench.views.page import COLUMNS, SCREEN
from collbench.views.scales import MOST_TICKS, ratio_axis, ratio_ticks, size_axis


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.97, 1.03, [0.97, 0.98, 0.99, 1, 1.01, 1.02, 1.03]),
        (0.46, 2.2, [0.5, 1, 1.5, 2]),
        (0.7, 4.4, [0.75, 1, 1.5, 2, 3, 4]),
        (0.3, 2.2, [0.5, 0.75, 1, 1.5, 2]),
        (0.24, 4.6, [0.25, 0.5, 1, 2, 4]),
        (0.9, 1.0001, [0.9, 0.92, 0.94, 0.96, 0.98, 1]),
        (0.001, 1000, [2.0**power for power in (-9, -6, -3, 0, 3, 6, 9)]),
    ],
)
def test_ticks_of_ratios_are_plain_factors(low: float, high: float, ticks: list[float]) -> None:
    assert ratio_ticks(low, high) == pytest.approx(ticks)


def test_there_are_always_a_few_ticks_and_1_is_among_them() -> None:
    for down, up in np.random.default_rng(1).uniform(0, 8, (500, 2)):
        ticks = ratio_ticks(2**-down / 1.03, 2**up * 1.03)
        assert 1 in ticks
        assert 2 <= len(ticks) <= MOST_TICKS


def test_labels_of_ratios_have_no_exponent() -> None:
    axes = Figure().subplots()
    ratio_axis(axes, [0.3, 3000.0], [0.1, 9000.0])
    shown = [axes.yaxis.get_major_formatter()(place) for place in axes.yaxis.get_ticklocs()]
    assert "1×" in shown
    assert not any("e" in label or "^" in label for label in shown)


def test_intervals_are_within_the_axis_unless_they_would_fill_it() -> None:
    axes = Figure().subplots()
    ratio_axis(axes, [0.9, 1.2], [0.8, 1.3])
    low, high = axes.get_ylim()
    assert (low < 0.8, high > 1.3) == (True, True)
    ratio_axis(axes, [0.9, 1.2], [0.1, 50.0])
    low, high = axes.get_ylim()
    assert 0.5 < low < 0.9
    assert 1.2 < high < 2


def test_sizes_have_as_many_ticks_as_have_room() -> None:
    sizes = [4096 * 2**step for step in range(15)]
    counts = []
    for page in (COLUMNS["one"], COLUMNS["two"], SCREEN):
        axes = Figure().subplots()
        size_axis(axes, sizes, page)
        counts.append(len(axes.xaxis.get_ticklocs()))
    assert counts == [5, 15, 15]
