"""The gate's error rates and power, on noise resampled from committed results and on noise made up; N = 1000 trials.

Every limit is one of the gate's promises; each mutant of the rule breaks one of them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import permutations

import numpy as np
import pytest
from noise import ALIKE, MIXING, SIZES, Floats, Noise, gauss, resampled, runs_of, student3, with_drift, with_outliers

from collbench.check.history import Sides, judge_runs, verdicts_on_runs, welch
from collbench.check.rule import ERROR, Looked, Rule, Verdict, Words, bounds, look_at, rule_of, verdicts

TRIALS = 1000
MARGIN = 0.02
RULE = rule_of(MARGIN)
POOLS = ("nvrar", "nccl", "nccl-symm", "nvshmem")
QUIET, LOUD = gauss(0.003), gauss(0.02)
FAMILIES: dict[str, Noise] = {
    **{name: resampled(name) for name in POOLS},
    "gauss": QUIET,
    "loud gauss": LOUD,
    "t3": student3(0.005),
    "outliers": with_outliers(QUIET),
    "nccl, outliers": with_outliers(resampled("nccl")),
    "drift": with_drift(QUIET),
    "nccl, drift": with_drift(resampled("nccl")),
}
ALL, THREE = np.full(SIZES, True), np.arange(SIZES) % 5 == 2


def made(noise: Noise, launches: int, seed: int = 1, trials: int = TRIALS) -> Floats:
    return noise(np.random.default_rng(seed), trials, launches)


def judged(noise: Noise, change: float, where: Floats, rule: Rule = RULE) -> Looked:
    """All trials at once, with a true change of the sizes ``where``."""
    logs = made(noise, max(rule.looks)) + np.where(where, math.log1p(change), 0)[:, None]
    return look_at(logs, np.full(SIZES, math.log1p(rule.margin)), rule)


@cache
def on_margin(family: str) -> Looked:
    return judged(FAMILIES[family], MARGIN, ALL)


@cache
def same_code(family: str) -> Looked:
    return judged(FAMILIES[family], 0, ALL)


def any_size(words: Words, *said: Verdict) -> float:
    """The share of trials in which any size has one of these verdicts."""
    return float(np.isin(words, [verdict.value for verdict in said]).any(axis=1).mean())


def all_sizes(words: Words, said: Verdict) -> float:
    return float((words == said.value).all(axis=1).mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_changes_exactly_on_the_margin_are_seldom_called(family: str) -> None:
    found = on_margin(family).verdict
    assert any_size(found, Verdict.SLOWER) <= 0.065
    assert any_size(found, Verdict.SAME) <= 0.065
    assert any_size(found, Verdict.FASTER) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_code_is_neither_slower_nor_faster(family: str) -> None:
    assert any_size(same_code(family).verdict, Verdict.SLOWER, Verdict.FASTER) <= 0.01


@pytest.mark.parametrize(
    ("family", "least"), [("nvrar", 0.97), ("nccl", 0.95), ("nccl-symm", 0.95), ("nvshmem", 0.95), ("gauss", 0.97)]
)
def test_the_same_code_is_the_same_at_all_sizes(family: str, least: float) -> None:
    assert all_sizes(same_code(family).verdict, Verdict.SAME) >= least


@pytest.mark.parametrize(("family", "launches"), [("nvrar", 10), ("nccl", 16), ("nccl-symm", 16), ("nvshmem", 13)])
def test_the_same_code_needs_few_launches(family: str, launches: float) -> None:
    look = same_code(family).look
    assert look.max(axis=1).mean() <= launches
    assert look.mean() <= 8


@pytest.mark.parametrize(("family", "least"), [*((name, 0.97) for name in POOLS), ("loud gauss", 0.95)])
def test_five_per_cent_at_three_sizes_are_found(family: str, least: float) -> None:
    found = judged(FAMILIES[family], 0.05, THREE).verdict
    assert all_sizes(found[:, THREE], Verdict.SLOWER) >= least
    assert any_size(found[:, ~THREE], Verdict.SLOWER, Verdict.FASTER) <= 0.01


@pytest.mark.parametrize("family", [*POOLS, "gauss", "loud gauss"])
def test_one_per_cent_is_not_called_slower(family: str) -> None:
    assert any_size(judged(FAMILIES[family], 0.01, THREE).verdict, Verdict.SLOWER) <= 0.01


def test_on_cpu_ranks_a_wide_margin_finds_large_changes() -> None:
    wide = rule_of(0.5)
    assert all_sizes(judged(gauss(0.3), 1.5, THREE, wide).verdict[:, THREE], Verdict.SLOWER) >= 0.97
    assert any_size(judged(gauss(0.3), 0, ALL, wide).verdict, Verdict.SLOWER, Verdict.FASTER) <= 0.01


@pytest.mark.parametrize("cap", [3, 6, 8, 40])
def test_another_cap_keeps_the_errors(cap: int) -> None:
    found = judged(QUIET, MARGIN, ALL, rule_of(MARGIN, cap)).verdict
    assert any_size(found, Verdict.SLOWER) <= 0.065
    assert any_size(found, Verdict.SAME) <= 0.065


@pytest.mark.parametrize("family", FAMILIES)
def test_intervals_of_all_sizes_together_cover_no_change(family: str) -> None:
    found = bounds(made(FAMILIES[family], 7), ERROR / 2 / SIZES)
    assert (np.abs(found.mean) < found.reach).all(axis=1).mean() >= 0.93


# Mutants: each is the rule with one mistake.


def breaks(words: Words) -> bool:
    return any_size(words, Verdict.SLOWER) > 0.07 and any_size(words, Verdict.SAME) > 0.07


@pytest.mark.parametrize("family", ["nvrar", "nccl", "nccl-symm", "gauss", "loud gauss", "t3"])
@pytest.mark.parametrize("alpha", [RULE.alpha * SIZES, ERROR], ids=["not divided by m", "whole at each look"])
def test_mutants_of_the_level_break_the_limit(family: str, alpha: float) -> None:
    assert breaks(judged(FAMILIES[family], MARGIN, ALL, replace(RULE, alpha=alpha)).verdict)


def test_iterations_as_replicates_break_the_limit() -> None:
    each = 10

    def iterations(draw: np.random.Generator, trials: int, launches: int) -> Floats:
        between = np.repeat(QUIET(draw, trials, launches // each), each, axis=-1)
        return between + QUIET(draw, trials, launches)

    found = judged(iterations, MARGIN, ALL, replace(RULE, looks=tuple(each * look for look in RULE.looks[:2]))).verdict
    assert any_size(found, Verdict.SLOWER) > 0.8


@pytest.mark.parametrize("family", ["nvrar", "nccl", "gauss"])
def test_an_m_that_shrinks_to_the_sizes_that_look_slow_breaks_the_limit(family: str) -> None:
    """m counts those sizes alone that the uncorrected look finds slower."""
    logs, margins = made(FAMILIES[family], RULE.looks[-1]) + math.log1p(MARGIN), np.full(SIZES, math.log1p(MARGIN))
    slower = np.full(TRIALS, False)
    for look in RULE.looks:
        here = logs[..., :look]
        m = (verdicts(bounds(here, ERROR), margins) == Verdict.SLOWER.value).sum(axis=1)
        for count in range(1, SIZES + 1):
            found = verdicts(bounds(here[m == count], RULE.alpha / count), margins) == Verdict.SLOWER.value
            slower[m == count] |= found.any(axis=1)
    assert slower.mean() > 0.1


def test_a_fixed_order_of_the_sides_makes_drift_a_change() -> None:
    found = bounds(made(with_drift(QUIET, balanced=False), 7), ERROR / 2 / SIZES)
    assert (np.abs(found.mean) > found.reach).any(axis=1).mean() == 1


# Runs at different times: 0.5 % between runs and as much between launches.


def runs(draw: np.random.Generator, count: int, launches: int) -> Floats:
    """Logarithms of latencies, of shape (trials, sizes, runs, launches)."""
    shape = (TRIALS, SIZES, count)
    return draw.normal(0, 0.005, (*shape, 1)) + draw.normal(0, 0.005, (*shape, launches))


def compared(change: float, where: Floats, count: int, launches: int, margin: float = 0.04) -> Words:
    draw = np.random.default_rng(5)
    base, candidate = runs(draw, count, launches), runs(draw, count, launches)
    candidate += np.where(where, math.log1p(change), 0)[:, None, None]
    one, other = (np.median(side, axis=-1) if count > 1 else side[:, :, 0] for side in (base, candidate))
    return verdicts_on_runs(welch(one, other, ERROR / SIZES), np.full(SIZES, math.log1p(margin)), count > 1)


@pytest.mark.parametrize(("count", "launches"), [(1, 3), (1, 5), (1, 10), (3, 3), (5, 3), (8, 3)])
def test_two_runs_of_the_same_code_are_neither_slower_nor_faster(count: int, launches: int) -> None:
    found = compared(0, ALL, count, launches)
    assert any_size(found, Verdict.SLOWER, Verdict.FASTER) <= 0.01
    assert (any_size(found, Verdict.SAME) > 0) == (count >= 5)


@pytest.mark.parametrize(("count", "launches"), [(1, 10), (5, 3)])
def test_ten_per_cent_between_runs_are_found(count: int, launches: int) -> None:
    assert all_sizes(compared(0.1, THREE, count, launches)[:, THREE], Verdict.SLOWER) >= 0.95


@pytest.mark.parametrize("count", [3, 5, 8])
def test_runs_as_replicates_keep_the_errors_on_the_margin(count: int) -> None:
    found = compared(0.04, ALL, count, 3)
    assert any_size(found, Verdict.SLOWER) <= 0.065
    assert any_size(found, Verdict.SAME) <= 0.065


@pytest.mark.parametrize("backend", ["nccl", "nccl-symm", "nvshmem"])
def test_committed_runs_of_the_same_library_are_neither_slower_nor_faster(backend: str) -> None:
    pairs = [pair for group in runs_of(backend, ALIKE).values() for pair in permutations(group, 2)]
    assert len(pairs) == 6
    assert {word for base, candidate in pairs for word in between(base, candidate)} == {Verdict.UNCLEAR}


def test_between_committed_runs_the_effect_of_a_setting_is_found() -> None:
    """NCCL without graph mixing saves 1.0 to 1.6 µs per call up to 1 MiB, the first nine sizes."""
    ((base, candidate),) = runs_of("nccl", MIXING).values()
    assert between(base, candidate)[:9] == [Verdict.FASTER] * 9
    assert between(candidate, base)[:9] == [Verdict.SLOWER] * 9


def between(base: Floats, candidate: Floats) -> list[Verdict]:
    return [each.verdict for each in judge_runs([Sides([a], [b]) for a, b in zip(base, candidate, strict=True)])]


def test_launches_of_two_runs_cannot_tell_small_changes() -> None:
    """What differs between runs looks like a change: hence the large margin."""
    assert any_size(compared(0, ALL, 1, 10, margin=0.001), Verdict.SLOWER, Verdict.FASTER) > 0.5
