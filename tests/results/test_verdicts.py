"""Verdicts over launches: true as often as they claim, by simulation, and mirrored when the sides are swapped."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from collbench.results.cases import cases
from collbench.results.records import load
from collbench.results.statistics import student_quantile
from collbench.results.verdicts import Ratio, confidence_of, paired_ratio, unpaired_ratio

Noise = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
RESULTS = Path(__file__).parents[2] / "results"
SIZES, TABLES, MOST = 15, 1000, 0.065  # 5 %, and twice the standard error of what so many tables show
LATENCIES = st.lists(st.tuples(st.floats(0.1, 1000), st.floats(0.1, 1000)), min_size=1, max_size=12)


def gauss(draw: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Half a per cent from launch to launch."""
    return draw.normal(0, 0.005, shape)


def heavy(draw: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The same with outliers: Student's t with three degrees of freedom."""
    return 0.005 / math.sqrt(3) * draw.standard_t(3, shape)


def residuals(backend: str) -> Noise:
    """What the launches of the committed run deviate by from the mean of their case, drawn with random signs."""
    found = [case for case in cases(load(RESULTS / "h200x4-nvrar.csv")) if case.record.backend == backend]
    logs = np.log([[row.latency_us_median or math.nan for row in case.timed] for case in found])
    pool = (logs - logs.mean(axis=1, keepdims=True)).ravel() * math.sqrt(3 / 2)
    return lambda draw, shape: draw.choice(pool, shape) * draw.choice([-1.0, 1.0], shape)


NOISES = {"gauss": gauss, "heavy": heavy, **{name: residuals(name) for name in ("nvrar", "nccl")}}


def excludes_one(ratio: Ratio) -> bool:
    """Whether the interval calls the two sides different."""
    return (ratio.low or 0) > 1 or (ratio.high or 2) < 1


def false_tables(
    judge: Callable[..., Ratio], noise: Noise, launches: tuple[int, int], together: int = SIZES, scale: float = 1.0
) -> float:
    """The share of tables in which a backend is called faster or slower than itself; ``scale``: noise of side b."""
    draw = np.random.default_rng(1)
    one = np.exp(noise(draw, (TABLES, SIZES, launches[0]))).tolist()
    other = np.exp(scale * noise(draw, (TABLES, SIZES, launches[1]))).tolist()
    wrong = [
        any(excludes_one(judge(a, b, together)) for a, b in zip(mine, theirs, strict=True))
        for mine, theirs in zip(one, other, strict=True)
    ]
    return sum(wrong) / TABLES


@pytest.mark.parametrize("launches", [3, 6, 10])
@pytest.mark.parametrize("noise", NOISES)
def test_no_size_of_a_table_is_called_faster_or_slower_than_itself(noise: str, launches: int) -> None:
    assert false_tables(paired_ratio, NOISES[noise], (launches, launches)) <= MOST


@pytest.mark.parametrize(("launches", "scale"), [((3, 3), 1.0), ((3, 3), 2.0), ((3, 10), 1.0), ((10, 10), 1.0)])
@pytest.mark.parametrize("noise", NOISES)
def test_launches_of_two_runs_are_called_different_no_more_often(
    noise: str, launches: tuple[int, int], scale: float
) -> None:
    assert false_tables(unpaired_ratio, NOISES[noise], launches, scale=scale) <= MOST


@pytest.mark.parametrize("judge", [paired_ratio, unpaired_ratio])
def test_the_simulation_finds_a_table_whose_sizes_are_judged_one_by_one(judge: Callable[..., Ratio]) -> None:
    assert false_tables(judge, gauss, (6, 6), together=1) > 0.3


@pytest.mark.parametrize("judge", [paired_ratio, unpaired_ratio])
def test_an_interval_covers_the_true_ratio_as_often_as_it_says(judge: Callable[..., Ratio]) -> None:
    draw = np.random.default_rng(2)
    one, other = (1.25 * np.exp(gauss(draw, (3000, 5)))).tolist(), np.exp(gauss(draw, (3000, 5))).tolist()
    found = [judge(a, b) for a, b in zip(one, other, strict=True)]
    assert 0.94 < sum((ratio.low or 9) < 1.25 < (ratio.high or 0) for ratio in found) / len(found) < 0.975


@pytest.mark.parametrize(("judge", "slower"), [(paired_ratio, 1.05), (unpaired_ratio, 1.10)])
def test_a_change_is_found_in_five_launches(judge: Callable[..., Ratio], slower: float) -> None:
    draw = np.random.default_rng(3)
    one, other = (slower * np.exp(gauss(draw, (300, 5)))).tolist(), np.exp(gauss(draw, (300, 5))).tolist()
    found = [judge(a, b, SIZES).verdict == "slower" for a, b in zip(one, other, strict=True)]
    assert sum(found) / len(found) > 0.97


def test_the_value_is_the_geometric_mean_and_the_interval_is_student_s() -> None:
    found = paired_ratio([11.0, 12.0, 13.0], [10.0, 10.0, 10.0])
    logs = [math.log(each) for each in (1.1, 1.2, 1.3)]
    middle, error = np.mean(logs), np.std(logs, ddof=1) / math.sqrt(3)
    assert found.value == pytest.approx((1.1 * 1.2 * 1.3) ** (1 / 3))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp([middle - 4.30265 * error, middle + 4.30265 * error])))
    assert (found.launches, found.together, found.confidence, found.covers) == (3, 1, 0.95, "launches like these")


def test_welch_s_degrees_of_freedom_are_those_of_his_paper() -> None:
    found = unpaired_ratio([math.exp(each) for each in (1.0, 2.0, 3.0)], [math.exp(each) for each in (0.0, 4.0, 8.0)])
    reach = student_quantile(0.95, 2.249027)  # of variances 1 and 16: 17² / (1/2 + 16²/2)
    assert math.log(found.high or 0) - math.log(found.value) == pytest.approx(reach * math.sqrt(17 / 3), rel=1e-4)
    assert (found.paired, found.covers) == (False, "launches like these, of these two runs")


@pytest.mark.parametrize("launches", [3, 6, 10])
def test_two_runs_of_one_code_are_not_called_different(launches: int) -> None:
    """Runs differ beyond their launches, here by 0.5 %."""
    draw = np.random.default_rng(4)
    shape = (TABLES, SIZES)
    sides = [np.exp(gauss(draw, (*shape, 1)) + gauss(draw, (*shape, launches))).tolist() for _ in range(2)]
    wrong = [
        any(unpaired_ratio(a, b, SIZES).verdict != "unclear" for a, b in zip(mine, theirs, strict=True))
        for mine, theirs in zip(*sides, strict=True)
    ]
    assert sum(wrong) / TABLES <= 0.01


def test_launches_are_compared_in_pairs() -> None:
    """A drift that both sides share cancels."""
    drift = [10.0 * 2**launch for launch in range(6)]
    found = paired_ratio([2 * us for us in drift], drift)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2), rel=1e-3)
    assert unpaired_ratio([2 * us for us in drift], drift).verdict == "unclear"


@pytest.mark.parametrize("judge", [paired_ratio, unpaired_ratio])
def test_equal_launches_do_not_prove_that_nothing_varies(judge: Callable[..., Ratio]) -> None:
    assert judge([1.0005] * 3, [1.0] * 3).verdict == "unclear"
    assert judge([1.06] * 3, [1.0] * 3).verdict == "slower"


@pytest.mark.parametrize(("launches", "words"), [(1, "unclear (1 launch)"), (2, "unclear (2 launches)"), (3, "slower")])
def test_a_verdict_and_an_interval_need_three_launches(launches: int, words: str) -> None:
    for found in (
        paired_ratio([2.0] * launches, [1.0] * launches),
        unpaired_ratio([2.0] * 9, [1.0] * launches),
        unpaired_ratio([2.0] * launches, [1.0] * 9),
    ):
        assert (found.verdict, found.launches, round(found.value, 9)) == (words, launches, 2.0)
        assert (found.low is None, found.high is None, found.covers == "") == (launches < 3,) * 3


@settings(deadline=None)
@given(LATENCIES, st.randoms(use_true_random=False))
def test_sides_mirror_and_the_order_of_launches_changes_nothing(found: list[tuple[float, float]], draw: object) -> None:
    order = np.random.default_rng(len(found)).permutation(len(found))
    for judge in (paired_ratio, unpaired_ratio):
        a, b = [one for one, _ in found], [other for _, other in found]
        there, back = judge(a, b, SIZES), judge(b, a, SIZES)
        shuffled = judge([a[i] for i in order], [b[i] for i in order], SIZES)
        mirrored = {"slower": "faster", "faster": "slower"}
        assert back.verdict == mirrored.get(there.verdict, there.verdict)
        assert there.value == pytest.approx(1 / back.value)
        assert shuffled.value == pytest.approx(there.value)
        if there.low is not None and there.high is not None:
            assert there.low <= there.value <= there.high
            assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
            assert (shuffled.low, shuffled.high) == pytest.approx((there.low, there.high))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.01, 1.5, "slower"), (0.5, 0.99, "faster"), (0.9, 1.1, "unclear"), (1.0, 1.1, "unclear"), (0.9, 1.0, "unclear")],
)
def test_a_verdict_needs_an_interval_without_1(low: float, high: float, verdict: str) -> None:
    assert Ratio(math.sqrt(low * high), low, high, 6).verdict == verdict


def test_more_ratios_at_once_are_each_judged_with_more_confidence() -> None:
    assert [round(confidence_of(together), 5) for together in (1, 5, 15)] == [0.95, 0.99, 0.99667]
