"""Who gets into the finals, and who wins them: the best of many equal candidates never does."""

from __future__ import annotations

import random

import pytest
from samples import a_problem, timed, untimed

from collbench.printer.plain import plain_page
from collbench.results.records import Record
from collbench.results.statistics import mean_interval, student_quantile
from collbench.tune.finals import finalists, page, plain, verdicts

WORK = a_problem()
NAMES = ("default", "a", "b", "c")


def in_launches(name: str, *medians: float) -> list[Record]:
    """One candidate, launch by launch."""
    return [timed(us, backend=name, launch=launch) for launch, us in enumerate(medians)]


def noisy(name: str, us: float, launches: int, draw: random.Random, noise: float = 0.01) -> list[Record]:
    """Medians with noise from launch to launch."""
    return in_launches(name, *(us * draw.gauss(1, noise) for _ in range(launches)))


@pytest.mark.parametrize(
    ("confidence", "freedom", "expected"),
    [(0.95, 1, 12.7062), (0.95, 2, 4.3027), (0.95, 4, 2.7764), (0.99, 5, 4.0321), (0.95, 30, 2.0423)],
)
def test_student_s_quantiles_are_those_of_the_tables(confidence: float, freedom: int, expected: float) -> None:
    assert student_quantile(confidence, freedom) == pytest.approx(expected, abs=1e-4)


def test_the_interval_of_a_mean() -> None:
    assert mean_interval([1.0, 2.0, 3.0], 0.95) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_the_fastest_few_and_the_default_are_nominated() -> None:
    rows = [timed(us, backend=name) for name, us in {"default": 5.0, "a": 4.0, "b": 3.0, "c": 6.0}.items()]
    assert finalists({WORK: NAMES}, rows, 2) == {WORK: ("default", "b", "a")}


def test_what_was_not_timed_is_not_nominated() -> None:
    rows = [
        timed(5.0, backend="default"), untimed("wrong", backend="a"), untimed("failed", backend="b"),
        untimed("skipped", backend="c"),
    ]  # fmt: skip
    assert finalists({WORK: NAMES}, rows, 2) == {}
    assert finalists({WORK: NAMES}, [timed(4.0, backend="a"), untimed("failed", backend="default")], 2) == {}


def test_a_clear_winner_replaces_the_default() -> None:
    rows = [*in_launches("default", 10, 10.1, 9.9), *in_launches("a", 8, 8.1, 7.9), *in_launches("b", 9, 9.1, 8.9)]
    (verdict,) = verdicts({WORK: ("default", "a", "b")}, rows, 3)
    assert (verdict.best, verdict.replaces, verdict.launches) == ("a", True, 3)
    assert (verdict.default_us, verdict.best_us) == (10, 8)
    assert verdict.ratio == pytest.approx(0.8, abs=1e-3)
    assert verdict.low < verdict.ratio < verdict.high < 0.98


def test_one_that_surely_wins_goes_before_a_faster_one_that_may_not() -> None:
    rows = [*in_launches("default", 10, 10, 10), *in_launches("a", 4, 12, 7), *in_launches("b", 8, 8.01, 8.02)]
    (verdict,) = verdicts({WORK: ("default", "a", "b")}, rows, 3)
    assert (verdict.best, verdict.replaces) == ("b", True)


def test_a_gain_inside_the_margin_keeps_the_default() -> None:
    rows = [*in_launches("default", 10, 10, 10), *in_launches("a", 9.85, 9.85, 9.85)]
    (verdict,) = verdicts({WORK: ("default", "a")}, rows, 3)
    assert not verdict.replaces
    assert verdict.high < 1


def test_launches_are_paired() -> None:
    rows = [*in_launches("default", 10, 20, 30), *in_launches("a", 8, 16.1, 23.9)]
    assert verdicts({WORK: ("default", "a")}, rows, 3)[0].replaces


def test_one_that_failed_once_is_not_believed() -> None:
    rows = [*in_launches("default", 10, 10, 10), *in_launches("a", 5, 5), untimed("wrong", backend="a", launch=2)]
    assert verdicts({WORK: ("default", "a")}, rows, 3) == []
    assert verdicts({WORK: ("a", "default")}, rows, 3) == []


def test_the_best_of_sixty_equal_candidates_hardly_ever_wins() -> None:
    draw, names, won, looked = random.Random(7), ("default", *(f"c{i}" for i in range(60))), 0, 0
    for _ in range(200):
        first = [record for name in names for record in noisy(name, 10, 1, draw, 0.02)]
        chosen = finalists({WORK: names}, first, 3)
        us = {record.backend: record.latency_us_median or 0.0 for record in first}
        looked += us[chosen[WORK][1]] < 0.98 * us["default"]
        rows = [record for name in chosen[WORK] for record in noisy(name, 10, 5, draw, 0.02)]
        won += verdicts(chosen, rows, 5)[0].replaces
    assert looked > 150  # by one measurement it looks faster by more than the margin
    assert won <= 4  # 2 %; the interval alone, without the margin, promises 5 %


def test_a_gain_of_eight_per_cent_is_found() -> None:
    draw = random.Random(7)
    found = 0
    for _ in range(100):
        rows = [r for name, us in (("default", 10), ("a", 9.2), ("b", 10), ("c", 10)) for r in noisy(name, us, 5, draw)]
        (verdict,) = verdicts({WORK: NAMES}, rows, 5)
        found += verdict.replaces and verdict.best == "a"
    assert found > 90


def test_the_table_says_what_was_decided_and_json_the_same() -> None:
    rows = [*in_launches("default", 10, 10.1, 9.9), *in_launches("a", 8, 8.1, 7.9)]
    found = verdicts({WORK: ("default", "a")}, rows, 3)
    shown = plain_page(page(found))
    assert "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain" in shown
    assert "replaces the default" in shown
    assert "below 0.98" in shown
    (row,) = plain(found)
    assert (row["default"], row["best"], row["decision"]) == ("default", "a", "replaces the default")
    assert plain_page(page([])) == "No candidate could be compared with the default."
    assert plain([]) == []
