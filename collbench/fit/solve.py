"""Robust fits of the model of ``lines``, many at once: the same cases with other weights.

Minimised is the sum of soft absolute values of log(measured / model), quadratic for errors well below SOFT (scipy's
soft_l1), by Levenberg and Marquardt's steps with iteratively renewed weights. All fits of a batch take their steps
together, so that hundreds, of held-out sizes and of a bootstrap, cost about as much as one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collbench.fit.lines import BASE, PER_LINE, Floats, Shape, evaluate

SOFT = 0.1
MOST_STEPS = 60
_ENOUGH = 1e-5  # a step that moves no logarithm by more is the last
_FAR = 2.0  # the largest step of a logarithm
# Ties are weak, worth as much as an error of 3 % in one case: they decide what measurements leave open, and draw what
# these hardly determine.
_TIE, _ANCHOR, _FAST = 0.03, 0.003, 1e3
_SLOWER_LINKS = (math.log(5), math.log(8))  # alpha and the time of a byte, between nodes over inside
_OTHER_LINE = (math.log(3), math.log(0.5))  # of the second line over the first


@dataclass(frozen=True)
class Ties:
    """Weak equations ``rows @ logarithms = values``, with values for each fit (fits, equations)."""

    rows: Floats
    values: Floats


def ties_of(shape: Shape, ratio: float, near: Floats, known: Mapping[int, float]) -> Ties:
    """What holds where measurements say nothing: base is ``ratio`` alphas, links between nodes are slower by
    _SLOWER_LINKS, a second line differs by _OTHER_LINE, all constants lie near ``near`` (fits, constants). Those
    ``known``, by their place, are held fast."""
    pairs = [(BASE, 1, math.log(ratio))]
    for line in range(shape.count):
        first = shape.slots(line).start
        for step in range(2):
            pairs.append((first + 2 + step, first + step, _SLOWER_LINKS[step]))
            if line:
                pairs.append((first + step, first + step - PER_LINE, _OTHER_LINE[step]))
    unit, places = np.eye(shape.constants), list(known)
    rows = [_TIE * (unit[one] - unit[other]) for one, other, _ in pairs]
    ends = np.tile([_TIE * difference for _, _, difference in pairs], (len(near), 1))
    held = np.tile([_FAST * known[place] for place in places], (len(near), 1))
    return Ties(
        np.array([*rows, *_ANCHOR * unit, *_FAST * unit[places]]), np.concatenate([ends, _ANCHOR * near, held], axis=1)
    )


def starts_of(ways: Floats, us: Floats, shape: Shape, ratio: float) -> Floats:
    """Logarithms to start from (starts, constants): base and alpha by the smallest latency, the time of a byte by the
    largest, and for two lines several ways to part them."""
    small, large = us.min(), int(us.argmax())
    alpha = small / (ratio + max(1.0, ways[:, 0, 0].max(), ways[:, 0, 2].max()))
    byte = us[large] / max(1.0, ways[large][:, [1, 3]].sum(axis=1).min())

    def line(alphas: float, bytes_: float) -> list[float]:
        return [math.log(alpha * alphas), math.log(byte * bytes_)] * 2

    base = math.log(ratio * alpha)
    if shape.count == 1:
        return np.array([[base, *line(1, 1)]])
    parted = (
        [((1, 0.3), (m, 1)) for m in (0.1, 1)] if shape.slower else [((1, m), (k, 1)) for m in (2, 5) for k in (2, 6)]
    )
    return np.array([[base, *line(*first), *line(*second)] for first, second in parted])


def solve(ways: Floats, us: Floats, weights: Floats, shape: Shape, ties: Ties, starts: Floats) -> tuple[Floats, Floats]:
    """The best logarithms (fits, constants) and their costs (fits) for each row of ``weights`` (fits, cases), each from
    its ``starts`` (fits, starts, constants). ``us`` are measured, in microseconds."""
    fits, tries, constants = starts.shape
    many, values = (np.repeat(each, tries, axis=0) for each in (weights, ties.values))
    begun = starts.reshape(fits * tries, constants)
    found, costs = _descend(ways, np.log(us), many, shape, Ties(ties.rows, values), begun)
    best = costs.reshape(fits, tries).argmin(axis=1)
    rows = np.arange(fits)
    return found.reshape(fits, tries, constants)[rows, best], costs.reshape(fits, tries)[rows, best]


@dataclass(frozen=True)
class _Place:
    """Where the descents are: logarithms, cost, errors and their gradient, what the ties lack."""

    at: Floats
    cost: Floats
    errors: Floats
    gradient: Floats
    lacks: Floats

    def moved(self, better: NDArray[np.bool_], other: _Place) -> _Place:
        """The ``other`` place where it is ``better``."""
        one, two = better[:, None], better[:, None, None]
        return _Place(
            np.where(one, other.at, self.at), np.where(better, other.cost, self.cost),
            np.where(one, other.errors, self.errors), np.where(two, other.gradient, self.gradient),
            np.where(one, other.lacks, self.lacks),
        )  # fmt: skip


def _descend(
    ways: Floats, logs: Floats, weights: Floats, shape: Shape, ties: Ties, starts: Floats
) -> tuple[Floats, Floats]:
    def place(at: Floats) -> _Place:
        values, gradient = evaluate(ways, shape, at)
        errors = logs - np.log(values)
        soft = 2 * SOFT**2 * (np.sqrt(1 + (errors / SOFT) ** 2) - 1)
        lacks = ties.values - at @ ties.rows.T
        return _Place(at, (weights * soft).sum(axis=1) + (lacks**2).sum(axis=1), errors, gradient, lacks)

    here = place(starts)
    damping = np.full(len(starts), 1e-2)
    for _ in range(MOST_STEPS):
        step = _step(here, weights, ties, damping)
        there = place(here.at + step)
        better = there.cost < here.cost
        here = here.moved(better, there)
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-9, 1e6)
        if np.abs(step).max() < _ENOUGH:
            break
    return here.at, here.cost


def _step(here: _Place, weights: Floats, ties: Ties, damping: Floats) -> Floats:
    soft = weights / np.sqrt(1 + (here.errors / SOFT) ** 2)
    curvature = np.swapaxes(here.gradient, 1, 2) @ (here.gradient * soft[:, :, None]) + ties.rows.T @ ties.rows
    downhill = np.einsum("fcp,fc->fp", here.gradient, soft * here.errors) + here.lacks @ ties.rows
    diagonal = np.einsum("fpp->fp", curvature)
    damped = curvature + (damping[:, None] * diagonal)[:, :, None] * np.eye(curvature.shape[1])
    return np.clip(np.linalg.solve(damped, downhill[:, :, None])[:, :, 0], -_FAR, _FAR)
