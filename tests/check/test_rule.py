"""The rule against the same rule in plain Python, and its symmetries."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from noise import SIZES, Floats, gauss, resampled, student3, with_outliers

from collbench.check.rule import (
    FEWEST,
    LEAST_SPREAD,
    Rule,
    bounds,
    log_margin,
    look_at,
    mean_and_variance,
    rule_of,
    student_bound,
)
from collbench.errors import UsageError
from collbench.results.statistics import student_quantile

RULE = rule_of()
MARGINS = np.full(SIZES, math.log1p(0.02))
NOISE = {"gauss": gauss(0.004), "t3": student3(0.006), "nccl": resampled("nccl"), "odd": with_outliers(gauss(0.004))}
CHANGES = np.log1p([0, 0, 0.01, 0.015, 0.02, 0.02, 0.025, 0.03, 0.05, 0.1, -0.01, -0.02, -0.03, -0.05, -0.5])


def some_logs(family: str = "gauss", trials: int = 20, launches: int = 20, gaps: float = 0.0) -> Floats:
    draw = np.random.default_rng(7)
    logs = NOISE[family](draw, trials, launches) + CHANGES[:, None]
    return np.where(draw.random(logs.shape) < gaps, math.nan, logs)


def plainly(logs: Sequence[float], margin: float, sizes: int, rule: Rule) -> tuple[str, int]:
    """One size: the verdict and the look that gave it."""
    last = 0
    for look in (look for look in rule.looks if look <= len(logs)):
        last = look
        known = [value for value in logs[:look] if not math.isnan(value)]
        if not known:
            return "missing", look
        if len(known) < FEWEST:
            continue
        t = student_quantile(1 - 2 * rule.alpha / sizes, len(known) - 1)
        reach = t * max(statistics.stdev(known), 0.0005) / math.sqrt(len(known))
        low, high = statistics.fmean(known) - reach, statistics.fmean(known) + reach
        if low > margin:
            return "slower", look
        if high < -margin:
            return "faster", look
        if low > -margin and high < margin:
            return "same", look
    return "unclear", last


@pytest.mark.parametrize("family", NOISE)
@pytest.mark.parametrize(("launches", "cap"), [(20, 20), (12, 20), (8, 8)])
@pytest.mark.parametrize("gaps", [0, 0.3, 0.9])
def test_all_trials_at_once_are_judged_as_one_by_one(family: str, gaps: float, launches: int, cap: int) -> None:
    logs, rule = some_logs(family, launches=launches, gaps=gaps), rule_of(cap=cap)
    found = look_at(logs, MARGINS, rule)
    one_by_one = [[plainly(list(size), MARGINS[0], SIZES, rule) for size in trial] for trial in logs]
    assert found.verdict.tolist() == [[verdict for verdict, _ in trial] for trial in one_by_one]
    assert found.look.tolist() == [[look for _, look in trial] for trial in one_by_one]


def test_every_verdict_occurs() -> None:
    said = np.unique(look_at(some_logs(gaps=0.7), MARGINS, RULE).verdict)
    assert said.tolist() == ["faster", "missing", "same", "slower", "unclear"]


def test_the_quantiles_for_fifteen_sizes() -> None:
    found = [student_bound(RULE.alpha / 15, look - 1) for look in RULE.looks]
    assert found == pytest.approx([7.99, 5.64, 4.58, 4.07, 3.76], abs=0.005)
    assert student_bound(0.01, 0) == math.inf


@pytest.mark.parametrize(
    ("cap", "looks"),
    [(20, (5, 7, 10, 14, 20)), (5, (5,)), (8, (5, 7, 8)), (3, (3,)), (30, (5, 7, 10, 14, 20, 28, 30))],
)
def test_looks_end_at_the_cap_and_share_the_error(cap: int, looks: tuple[int, ...]) -> None:
    rule = rule_of(cap=cap)
    assert rule.looks == looks
    assert rule.alpha == pytest.approx(min(0.01, 0.05 / len(looks)))


@pytest.mark.parametrize("margin", [0, -0.02, math.nan, math.inf])
def test_a_margin_must_be_positive(margin: float) -> None:
    with pytest.raises(UsageError, match="margin"):
        rule_of(margin)


def test_two_launches_are_no_check() -> None:
    with pytest.raises(UsageError, match="at least 3 launches, not 2"):
        rule_of(cap=2)


def test_a_verdict_stays_whatever_comes_later() -> None:
    logs = some_logs()
    for early in RULE.looks:
        before, after = look_at(logs[..., :early], MARGINS, RULE), look_at(logs, MARGINS, RULE)
        decided = before.verdict != "unclear"
        assert (after.verdict[decided] == before.verdict[decided]).all()
        assert (after.look[decided] == before.look[decided]).all()


def test_launches_without_the_sizes_that_are_decided_change_nothing() -> None:
    logs = some_logs()
    whole = look_at(logs, MARGINS, RULE)
    ragged = np.where(np.arange(20) < whole.look[..., None], logs, math.nan)
    again = look_at(ragged, MARGINS, RULE)
    assert (again.verdict == whole.verdict).all()
    assert (again.look == whole.look).all()


def test_swapped_sides_have_mirrored_verdicts() -> None:
    mirror = {"slower": "faster", "faster": "slower"}
    there, back = (look_at(logs, MARGINS, RULE).verdict for logs in (some_logs(), -some_logs()))
    assert [[mirror.get(word, word) for word in trial] for trial in there.tolist()] == back.tolist()


def test_the_order_of_sizes_and_of_launches_between_looks_does_not_matter() -> None:
    draw, logs = np.random.default_rng(3), some_logs()
    verdict, sizes = look_at(logs, MARGINS, RULE).verdict, draw.permutation(SIZES)
    blocks = np.split(np.arange(20), RULE.looks[:-1])
    launches = np.concatenate([draw.permutation(block) for block in blocks])
    assert (look_at(logs[:, sizes], MARGINS, RULE).verdict == verdict[:, sizes]).all()
    assert (look_at(logs[..., launches], MARGINS, RULE).verdict == verdict).all()


def test_more_sizes_make_a_verdict_harder() -> None:
    logs = some_logs()[:, :3, :5]
    alone, among = (bounds(logs, RULE.alpha / m).reach for m in (1, 15))
    assert (alone < among).all()


def test_equal_launches_do_not_show_that_there_is_no_noise() -> None:
    mean, variance, number = mean_and_variance(np.full((1, 5), 0.01))
    assert (float(mean[0]), float(variance[0]), int(number[0])) == pytest.approx((0.01, LEAST_SPREAD**2, 5))


def test_a_size_without_pairs_has_no_mean_and_one_pair_has_no_bounds() -> None:
    found = bounds(np.array([[math.nan, math.nan], [0.1, math.nan]]), 0.01)
    assert np.isnan(found.mean).tolist() == [True, False]
    assert np.isnan(found.reach).all()
    assert found.number.tolist() == [0, 1]


def test_the_margin_is_at_least_two_steps_of_the_timer() -> None:
    base = np.log([[2.0, 2.0], [2.0, 2.0], [math.nan, math.nan]])
    found = log_margin(0.02, np.array([0.032, 0.0, 0.032]), base)
    assert found == pytest.approx([math.log(1.032), math.log(1.02), math.log(1.02)])


def test_fail_fast_is_no_part_of_the_statistics() -> None:
    logs = some_logs()
    one, other = (look_at(logs, MARGINS, replace(RULE, fail_fast=fast)).verdict for fast in (False, True))
    assert (one == other).all()
