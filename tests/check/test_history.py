"""Verdicts on runs that did not run together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from collbench.check.history import Sides, judge_runs, welch
from collbench.check.rule import Verdict, student_bound

BASE = (10.0, 10.1, 9.9, 10.0)


def scaled(by: float, run: tuple[float, ...] = BASE) -> tuple[float, ...]:
    return tuple(by * us for us in run)


def two_files(*changes: float, margin: float = 0.04) -> list[str]:
    found = judge_runs([Sides([BASE], [scaled(1 + change)]) for change in changes], margin)
    return [each.verdict.value for each in found]


def test_two_files_are_slower_faster_or_unclear_and_never_the_same() -> None:
    assert two_files(0.2, -0.2, 0.04, 0.0) == ["slower", "faster", "unclear", "unclear"]


def test_an_unclear_size_says_why() -> None:
    found = judge_runs([Sides([BASE], [scaled(1 + change)]) for change in (0.04, 0.0)], 0.1)
    assert [each.reason for each in found] == ["within the margin, but same needs 5 runs a side"] * 2
    (wide,) = judge_runs([Sides([BASE], [scaled(1.04)])])
    assert wide.reason == "the margin is within the bounds"


@pytest.mark.parametrize(("runs", "verdict"), [(3, "unclear"), (4, "unclear"), (5, "same"), (6, "same")])
def test_from_five_runs_a_side_on_they_can_be_the_same(runs: int, verdict: str) -> None:
    side = [scaled(1 + 0.001 * run) for run in range(runs)]
    (found,) = judge_runs([Sides(side, side)])
    assert (found.verdict.value, found.launches) == (verdict, runs)
    assert judge_runs([Sides(side, side[:4])])[0].verdict is Verdict.UNCLEAR


def test_launches_of_one_of_several_runs_are_no_replicates() -> None:
    few = Sides([BASE * 5, BASE * 5], [scaled(2, BASE * 5), scaled(2, BASE * 5)])
    (found,) = judge_runs([few])
    assert (found.verdict, found.reason) == (Verdict.UNCLEAR, "2 runs")


def test_a_run_counts_with_the_median_of_its_launches() -> None:
    side = [(10.0, 11.0, 500.0), (11.0,), (math.nan, 11.0), (math.nan,), ()]
    (found,) = judge_runs([Sides(side, [scaled(2, run) for run in side])])
    assert found.launches == 3
    assert found.base_us == pytest.approx(11)
    assert found.candidate_us == pytest.approx(22)


@pytest.mark.parametrize("launches", [1, 2])
def test_one_launch_has_no_verdict(launches: int) -> None:
    few = Sides([BASE[:launches]], [scaled(9)])
    found = judge_runs([few, Sides([BASE], [BASE])])[0]
    assert (found.verdict, found.reason) == (Verdict.UNCLEAR, f"{launches} launch{'es' * (launches > 1)}")
    assert (found.change is None) == (launches == 1)


def test_a_size_that_a_side_lacks_is_missing() -> None:
    lacking, whole = Sides([BASE], [()]), Sides([BASE], [BASE])
    found = judge_runs([lacking, whole])[0]
    assert (found.verdict, found.reason, found.candidate_us) == (Verdict.MISSING, "no row of candidate", None)


def test_more_sizes_make_bounds_wider() -> None:
    one = Sides([BASE], [scaled(1.1)])
    alone, among = (judge_runs([one] * sizes)[0].change for sizes in (1, 15))
    assert alone is not None
    assert among is not None
    assert among.high - among.low > 1.5 * (alone.high - alone.low)


def test_the_timer_widens_the_margin() -> None:
    (found,) = judge_runs([Sides([BASE], [scaled(1.1)], step_us=1.0)])
    assert found.margin == pytest.approx(20, rel=1e-3)
    assert found.verdict is Verdict.UNCLEAR


def test_welch_has_his_error_and_degrees_of_freedom() -> None:
    """By hand: variances 0.0001 and 0.0004 of 4 and 3 values; the freedom of 2.71 counts as 2."""
    base = np.array([[-0.01, 0.01, -0.01, 0.01]]) * math.sqrt(3) / 2
    candidate = np.array([[-0.02, 0.0, 0.02, math.nan]]) + 0.1
    found = welch(base, candidate, 0.05)
    error = math.sqrt(0.0001 / 4 + 0.0004 / 3)
    assert found.at(0) == pytest.approx((0.1, student_bound(0.05, 2) * error, 3))


def test_swapped_sides_mirror() -> None:
    draw = np.random.default_rng(2)
    base, candidate = draw.normal(0, 0.01, (9, 4)), draw.normal(0.02, 0.03, (9, 6))
    there, back = welch(base, candidate, 0.05 / 9), welch(candidate, base, 0.05 / 9)
    assert there.mean == pytest.approx(-back.mean)
    assert there.reach == pytest.approx(back.reach)
    assert there.number.tolist() == back.number.tolist() == [4] * 9
