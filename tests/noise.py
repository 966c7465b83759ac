"""Noise between launches for simulated checks: log differences of two launches of the same code, all sizes together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collbench.results.cases import cases
from collbench.results.panels import Panel, panels
from collbench.results.records import load

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, int, int], Floats]  # draw, trials, launches -> (trials, SIZES, launches)

SIZES = 15
RESULTS = Path(__file__).parents[1] / "results"
ALIKE = ("h200x4-nvrar", "h200x4-modes", "h200x4-worlds")  # some cases are in all, under the same conditions
MIXING = ("h200x2-graph-mixing-1", "h200x2-graph-mixing-0")


def runs_of(backend: str, names: Sequence[str]) -> dict[Panel, list[Floats]]:
    """Latencies in microseconds of committed runs on GPUs, of shape (SIZES, launches) each, by what was timed."""
    found: dict[Panel, list[Floats]] = {}
    for name in names:
        for panel, group in panels(cases(load(RESULTS / f"{name}.csv"))).items():
            side = [case for case in group if case.record.backend == backend]
            side.sort(key=lambda case: case.record.bytes)
            us = [[row.latency_us_median or math.nan for row in case.timed] for case in side]
            found.setdefault(panel, []).extend([np.array(us)] if us else [])
    return found


@cache
def pool(backend: str) -> Floats:
    """Log differences between any two launches of a run on GPUs, of shape (pairs, SIZES)."""
    runs = [np.log(run) for group in runs_of(backend, (*ALIKE, *MIXING)).values() for run in group]
    return np.concatenate([[one - other for one, other in combinations(run.T, 2)] for run in runs])


def signs(draw: np.random.Generator, *shape: int) -> Floats:
    """-1 or 1, equally likely."""
    return draw.choice((-1.0, 1.0), shape)


def resampled(backend: str) -> Noise:
    """Whole pairs of launches of a backend with random signs: sizes keep what they share, and no change is true."""

    def noise(draw: np.random.Generator, trials: int, launches: int) -> Floats:
        drawn = draw.choice(pool(backend), (trials, launches)) * signs(draw, trials, launches, 1)
        return np.moveaxis(drawn, -1, 1)

    return noise


def gauss(sd: float) -> Noise:
    """Normal noise with this standard deviation of a difference."""
    return lambda draw, trials, launches: draw.normal(0, sd, (trials, SIZES, launches))


def student3(sd: float) -> Noise:
    """Student's t with three degrees of freedom: the fourth moment is infinite."""
    return lambda draw, trials, launches: draw.standard_t(3, (trials, SIZES, launches)) * sd / math.sqrt(3)


def with_outliers(noise: Noise, share: float = 0.05) -> Noise:
    """A share of the launches in which one side is 5 to 20 % slower at all sizes."""

    def both(draw: np.random.Generator, trials: int, launches: int) -> Floats:
        shape = (trials, 1, launches)
        off = np.log1p(draw.uniform(0.05, 0.2, shape)) * signs(draw, *shape) * (draw.random(shape) < share)
        return noise(draw, trials, launches) + off

    return both


def with_drift(noise: Noise, slot: float = 0.01, balanced: bool = True) -> Noise:
    """Sides in launches of their own, each slower by ``slot`` than the one before.

    The order of the sides is random and balanced in every two pairs, or else the base is always first.
    """

    def both(draw: np.random.Generator, trials: int, launches: int) -> Floats:
        first = signs(draw, trials, 1, launches // 2 + 1)
        order = np.stack([first, -first], axis=-1).reshape(trials, 1, -1)[..., :launches]
        return noise(draw, trials, launches) + slot * (order if balanced else 1)

    return both
