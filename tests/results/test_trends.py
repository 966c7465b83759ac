"""The alarm on nights: what it misses, what it finds, and how often it is false, with numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from collbench.results.trends import FEWEST, LAST, MARGIN, REACH, WINDOW, Trend, beyond_margin, judge, level

Floats = NDArray[np.float64]
SIZES = 15


def nights(draw: np.random.Generator, trials: int, number: int, night: float = 0.005, launch: float = 0.005) -> Floats:
    """Logarithms of nights of three launches without any change, of shape (trials, SIZES, number)."""
    launches = draw.normal(0, launch, (trials, SIZES, number, 3))
    return draw.normal(0, night, (trials, SIZES, number)) + np.median(launches, axis=-1)


def sounds(logs: Floats) -> NDArray[np.bool_]:
    """Whether the alarm sounds after the last night."""
    return np.asarray((beyond_margin(logs, level(logs)) > 0).all(axis=-1))


def every_night(logs: Floats) -> NDArray[np.bool_]:
    """Whether the alarm sounds after each night from the first verdict on, of shape (trials, SIZES, nights)."""
    return np.stack([sounds(logs[..., :end]) for end in range(LAST + FEWEST, logs.shape[-1] + 1)], axis=-1)


def off_together(draw: np.random.Generator, trials: int, number: int) -> Floats:
    """The whole machine 4 % slower or faster in one night of 50."""
    off = draw.choice((-0.04, 0.04), (trials, 1, number))
    return off * (draw.random((trials, 1, number)) < 0.02)


@pytest.mark.parametrize(
    ("night", "launch", "together", "limit"),
    [
        (0.005, 0.005, False, 0.02),
        (0.007, 0.006, False, 0.12),
        (0.005, 0.005, True, 0.05),
        (0.02, 0.02, False, 0.14),
        (0.15, 0.2, False, 0.18),
    ],
)
def test_false_alarms_in_60_nights_of_15_sizes(night: float, launch: float, together: bool, limit: float) -> None:
    """The limits are those of 100 histories: what the module says, plus three standard errors."""
    draw = np.random.default_rng(5)
    logs = nights(draw, 100, 60, night, launch)
    alarms = every_night(logs + (off_together(draw, 100, 60) if together else 0))
    assert alarms.any(axis=(1, 2)).mean() <= limit


@pytest.mark.parametrize(("step", "least", "most"), [(0.02, 0.2, 0.33), (0.03, 0.8, 0.9), (0.04, 0.98, 1.0)])
def test_a_step_is_found_in_two_nights(step: float, least: float, most: float) -> None:
    logs = nights(np.random.default_rng(6), 300, 32)
    logs[..., -LAST:] += math.log1p(step)
    assert least <= sounds(logs).mean() <= most


def test_a_creep_is_found_though_no_night_differs_much_from_the_one_before() -> None:
    alarms = every_night(nights(np.random.default_rng(7), 20, 75) + 0.001 * np.arange(75))
    assert alarms.any(axis=-1).all()
    assert np.median(alarms.argmax(axis=-1) + LAST + FEWEST) == pytest.approx(30, abs=2)


def test_a_loss_after_a_gain_is_found_though_the_first_nights_were_slower_still() -> None:
    logs = nights(np.random.default_rng(8), 50, 40)
    logs[..., 20:] -= 0.1
    logs[..., -LAST:] += 0.05
    assert sounds(logs).mean() > 0.99


def test_one_bad_night_does_not_hide_what_comes_after_it() -> None:
    logs = nights(np.random.default_rng(9), 50, 16)
    logs[..., 5] += 0.3
    logs[..., -LAST:] += 0.05
    assert sounds(logs).mean() > 0.9


def test_the_alarm_goes_on_until_the_old_level_is_out_of_reach() -> None:
    nights_us = [1.0] * WINDOW + [1.1] * (REACH + LAST)
    found = [judge(nights_us[:end]) for end in range(WINDOW + LAST, len(nights_us) + 1)]
    trends = [each.trend for each in found if each]
    assert trends == [Trend.SLOWER] * (REACH - WINDOW // 2 + 1) + [Trend.WITHIN] * (WINDOW // 2)


def test_a_regression_does_not_hide_itself_where_few_nights_came_before() -> None:
    logs = nights(np.random.default_rng(10), 50, 18)
    logs[..., 10:] += 0.08
    assert all(sounds(logs[..., :end]).mean() > 0.98 for end in range(12, 19))


@pytest.mark.parametrize(
    ("last", "trend"),
    [
        ((1.03, 1.03), Trend.SLOWER),
        ((1.00, 1.03), Trend.SLOWER_ONCE),
        ((0.97, 1.03), Trend.SLOWER_ONCE),
        ((1.03, 1.00), Trend.WITHIN),
        ((1.019, 1.019), Trend.WITHIN),
        ((0.97, 0.97), Trend.FASTER),
        ((1.03, 0.97), Trend.FASTER_ONCE),
    ],
)
def test_only_two_nights_on_the_same_side_are_a_trend(last: tuple[float, float], trend: Trend) -> None:
    found = judge([10.0] * FEWEST + [10 * each for each in last])
    assert found is not None
    assert found.trend is trend
    assert [found.before_us, found.change, found.margin] == pytest.approx([10, last[1] - 1, MARGIN])


def test_nothing_is_said_of_too_few_nights() -> None:
    assert judge([]) is None
    assert judge([1.0] * (FEWEST + LAST - 1)) is None


def test_the_margin_follows_the_noise_of_the_nights() -> None:
    quiet, noisy = (judge([10 * (1 + off * (-1) ** night) for night in range(20)]) for off in (0.001, 0.05))
    assert quiet is not None
    assert noisy is not None
    assert quiet.margin == pytest.approx(MARGIN)
    assert noisy.margin > 0.15


def test_the_margin_may_be_chosen() -> None:
    found = [judge([10.0] * FEWEST + [10.5, 10.5], margin) for margin in (0.02, 0.1)]
    assert [each and each.trend for each in found] == [Trend.SLOWER, Trend.WITHIN]
