"""Decisions: findings in the user's units, what is timed on, when a check is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from collbench.check.decision import (
    MOST_LAUNCHES,
    ON_THE_MARGIN,
    Series,
    band_change,
    decide,
    launches_needed,
    odd_launches,
)
from collbench.check.rule import Verdict, rule_of, student_bound

QUIET = (1, -1, 0, 1, -1, 0, 1, -1, 0, 1)  # tenths of a per cent, as noise
RULE = rule_of()


def series(change: float, launches: int = 5, noise: float = 0.001, step_us: float = 0.0) -> Series:
    """A base of 10 µs, and a candidate with a change and some noise."""
    tenths = np.resize(QUIET, launches)
    return Series((10.0,) * launches, tuple(10 * (1 + change) * np.exp(noise * tenths)), step_us)


def words(found: Sequence[Series], margin: float = 0.02) -> list[str]:
    return [each.verdict.value for each in decide(found, rule_of(margin)).findings]


def test_each_size_has_its_finding_in_its_place() -> None:
    found = [series(0), series(0.1), series(-0.1), series(0.02), Series((10.0,) * 5, ())]
    assert words(found) == ["same", "slower", "faster", "unclear", "missing"]


def test_a_finding_has_microseconds_and_per_cent() -> None:
    (one,) = decide([Series((10.0, 11.0, 12.0, 11.0, 10.0), (11.0, 12.1, 13.2, 12.1, 11.0))], RULE).findings
    assert one.change is not None
    assert one.base_us is not None
    assert (one.verdict, one.reason, one.launches, one.odd) == (Verdict.SLOWER, "", 5, ())
    assert one.change.value == pytest.approx(10)
    assert one.base_us == pytest.approx(math.prod((10, 11, 12, 11, 10)) ** 0.2)
    assert one.candidate_us == pytest.approx(1.1 * one.base_us)
    assert one.margin == pytest.approx(2)
    reach = student_bound(0.01, 4) * 0.0005 / math.sqrt(5)
    assert one.change.low == pytest.approx(100 * (1.1 * math.exp(-reach) - 1))
    assert one.change.high == pytest.approx(100 * (1.1 * math.exp(reach) - 1))


def test_sizes_without_a_verdict_go_on_until_all_have_one() -> None:
    five = decide([series(0), series(0.02), series(0.1)], RULE)
    assert (five.next_look, five.undecided) == (7, (1,))
    more = decide([series(0), series(0, 7), series(0.1)], RULE)
    assert (more.next_look, more.undecided) == (None, ())


def test_before_the_first_look_nothing_is_said() -> None:
    for launches in (0, 4):
        found = decide([series(0.5, launches)], RULE)
        (one,) = found.findings
        assert (one.verdict, one.change, one.launches) == (Verdict.UNCLEAR, None, launches)
        assert (one.reason, one.base_us) == ("the first look is at 5 launches", pytest.approx(10) if launches else None)
        assert found.next_look == 5


def test_between_two_looks_the_earlier_one_counts() -> None:
    found = decide([series(0.02, 6)], RULE)
    assert (found.findings[0].launches, found.next_look) == (5, 7)


@pytest.mark.parametrize("cap", [3, 5, 6, 8])
def test_at_the_cap_a_check_is_over(cap: int) -> None:
    found = decide([series(0.02, cap)], rule_of(cap=cap))
    assert (found.findings[0].verdict, found.findings[0].launches) == (Verdict.UNCLEAR, cap)
    assert (found.next_look, found.undecided) == (None, ())


def test_a_check_with_a_low_cap_is_decided_by_what_there_is() -> None:
    found = [series(0.1, 4), series(0.02, 4)]
    ended = decide(found, replace(RULE, looks=(4,)))
    assert [each.verdict.value for each in ended.findings] == ["slower", "unclear"]
    assert ended.next_look is None


def test_fail_fast_ends_with_the_first_size_that_is_slower() -> None:
    found = [series(0.02), series(0.1)]
    assert decide(found, rule_of()).next_look == 7
    fast = decide(found, rule_of(fail_fast=True))
    assert (fast.next_look, fast.undecided) == (None, ())
    assert [each.verdict.value for each in fast.findings] == ["unclear", "slower"]
    assert decide([series(0.02), series(-0.1)], rule_of(fail_fast=True)).next_look == 7


@pytest.mark.parametrize(
    ("base", "candidate", "reason", "base_us"),
    [
        ((10.0,) * 5, (), "no row of candidate", 10),
        ((10.0,) * 5, (math.nan,) * 5, "no row of candidate", 10),
        ((), (10.0,) * 5, "no row of base", None),
        ((math.nan,) * 5, (math.nan,) * 5, "no row of base and candidate", None),
        ((10.0, 10.0), (math.nan, math.nan, 9.0, 9.0, 9.0), "no launch with both sides", 10),
    ],
)
def test_a_side_without_a_row_is_missing(
    base: tuple[float, ...], candidate: tuple[float, ...], reason: str, base_us: float | None
) -> None:
    found = decide([Series(base, candidate), series(0.02)], RULE)
    missing = found.findings[0]
    assert (missing.verdict, missing.reason, missing.change) == (Verdict.MISSING, reason, None)
    assert missing.base_us == pytest.approx(base_us)
    assert (missing.candidate_us is None) == ("candidate" in reason)
    assert found.undecided == (1,)


def test_sizes_that_are_missing_count_among_all_sizes() -> None:
    alone, among = (decide([series(0.0), *[Series((), ())] * others], RULE).findings[0].change for others in (0, 14))
    assert alone is not None
    assert among is not None
    assert among.high > alone.high


def test_a_launch_that_lacks_a_side_does_not_count() -> None:
    whole = series(0.1, 7)
    lacking = Series(whole.base_us, (*whole.candidate_us[:6], math.nan))
    (one,) = decide([lacking], replace(RULE, looks=(5, 7))).findings
    assert (one.verdict, one.launches) == (Verdict.SLOWER, 5)
    alone = Series((10.0, math.nan, *[10.0] * 3), (11.0, 99.0, *[11.0] * 3))
    (one,) = decide([alone], RULE).findings
    assert one.launches == 4
    assert one.candidate_us == pytest.approx(11)
    gaps = Series((10.0,) * 20, (*[math.nan] * 18, 10.0, 20.0))
    (one,) = decide([Series((10.0,), (11.0,)), gaps], RULE).findings[:1]
    assert (one.verdict, one.reason, one.change) == (Verdict.UNCLEAR, "1 launch", None)


def test_two_launches_that_agree_have_no_verdict() -> None:
    (one,) = decide([Series((10.0,) * 5, (*[math.nan] * 3, 10.0, 10.0))], RULE).findings
    assert (one.verdict, one.reason) == (Verdict.UNCLEAR, "2 launches")


def test_an_unclear_size_says_how_many_launches_would_decide() -> None:
    (one,) = decide([series(0.017, noise=0.002)], RULE).findings
    logs = np.log(np.divide(series(0.017, noise=0.002).candidate_us, 10))
    number = launches_needed(logs, math.log(1.02), 1)
    assert number is not None
    assert one.reason == f"about {number} launches would decide"
    again = series(0.017, max(look for look in rule_of(cap=number).looks), noise=0.002)
    assert decide([again], rule_of(cap=number)).findings[0].verdict is Verdict.SAME


@pytest.mark.parametrize("mean", [0.0, 0.01, 0.015, 0.025, 0.03, -0.012, -0.028])
@pytest.mark.parametrize("sizes", [1, 15])
def test_the_number_of_launches_is_the_least_that_decides(mean: float, sizes: int) -> None:
    logs = mean + 0.01 * np.array([1, -1, 1, -1, 0]) / math.sqrt(math.fsum((1, 1, 1, 1)) / 4)
    number = launches_needed(logs, 0.02, sizes)
    spread, gap = float(np.std(logs, ddof=1)), abs(0.02 - abs(mean))

    def decides(launches: int) -> bool:
        tail = rule_of(cap=launches).alpha / sizes
        return student_bound(tail, launches - 1) * spread / math.sqrt(launches) < gap

    assert number == next((each for each in range(6, MOST_LAUNCHES + 1) if decides(each)), None)


def test_a_change_on_the_margin_is_never_decided() -> None:
    (one,) = decide([series(0.02)], RULE).findings
    assert one.reason == ON_THE_MARGIN


def test_bounds_are_numbers_however_wide() -> None:
    (one,) = decide([Series((1.0, 1.0), (1.0, 1e40))], replace(RULE, looks=(2,))).findings
    assert one.change is not None
    assert one.reason == "2 launches"
    assert one.change.low == pytest.approx(-100)
    assert math.isfinite(one.change.high)


def test_odd_launches_are_named() -> None:
    logs = np.array([0.001, -0.001, 0.1, 0.0, 0.002, math.nan, -0.002])
    assert odd_launches(logs, 0.02) == (2,)
    assert odd_launches(logs, 0.2) == ()
    assert odd_launches(np.array([math.nan]), 0.02) == ()
    wide = np.array([0.0, 0.03, -0.03, 0.06, -0.06, 0.04])
    assert odd_launches(wide, 0.02) == ()  # as wide as all others


def test_the_timer_widens_the_margin_of_short_calls_for_good() -> None:
    """The step is compared with the base before the first look, so that a margin does not move between looks."""
    short = series(0.02, 7, step_us=0.32)
    assert decide([short], RULE).findings[0].margin == pytest.approx(6.4)
    moved = Series((*short.base_us[:5], 20.0, 20.0), short.candidate_us, 0.32)
    assert decide([moved], RULE).findings[0].margin == pytest.approx(6.4)
    assert words([short]) == ["same"]


def test_another_margin_can_be_asked_for() -> None:
    assert words([series(0.1)], margin=0.2) == ["same"]
    assert words([series(0.1)], margin=0.05) == ["slower"]


def test_a_band_is_the_mean_over_its_sizes_in_launches_that_have_all() -> None:
    one, other = series(0.01, 7), series(0.03, 5)
    found = band_change([one, other])
    assert found is not None
    assert found.value == pytest.approx(100 * (math.sqrt(1.01 * 1.03) - 1))
    assert found.low < found.value < found.high
    assert band_change([one, series(0.03, 2)]) is None
    assert band_change([one, Series((), ())]) is None
