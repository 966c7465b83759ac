"""A law fitted to a curve: its shape, constants, their intervals, and its errors at what was held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from collbench.errors import UsageError
from collbench.fit.curves import Curve, Point, World
from collbench.fit.law import BETWEEN, INSIDE, UNJUDGED, Law
from collbench.fit.lines import ONE, QUICKER, SLOWER, Floats, Shape, evaluate, unknowns
from collbench.fit.solve import Ties, solve, starts_of, ties_of
from collbench.tables import counted

FEWEST_SIZES = 3  # for a line, and a third to judge it
FEWEST_TO_HOLD_OUT = 5  # of which an end may be left out
FEWEST_FOR_TWO_LINES = 8
DRAWS, SEED = 200, 1
NOTHING: Mapping[int, float] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Fit:
    """A law; measured over predicted latency of each point whose size was held out; the relative errors |predicted /
    measured - 1| at held-out sizes and in held-out worlds, by size or world; why there are none, if so."""

    curve: Curve
    law: Law
    held_out: tuple[tuple[Point, float], ...]
    by_size: dict[int, tuple[float, ...]]
    by_world: dict[World, tuple[float, ...]]
    without_size: str = ""
    without_world: str = ""

    @property
    def size_error(self) -> float | None:
        """The median over all held-out sizes."""
        return median_of(self.by_size)

    @property
    def world_error(self) -> float | None:
        """The median over all held-out worlds."""
        return median_of(self.by_world)


def median_of(errors: dict[int, tuple[float, ...]] | dict[World, tuple[float, ...]]) -> float | None:
    """The median of all errors; None without any."""
    found = [error for each in errors.values() for error in each]
    return float(np.median(found)) if found else None


def fit_curve(curve: Curve, origin: str, known: Mapping[int, float] = NOTHING) -> Fit:
    """The law of a curve; ``origin`` names its file. ``known``: logarithms of constants by their place, which are held
    fast.

    The shape is the one with the least AICc, chosen anew without what is held out. Intervals are from DRAWS bootstraps
    over the cases (seed SEED). Raises UsageError for fewer than FEWEST_SIZES sizes.
    """
    if len(curve.sizes) < FEWEST_SIZES:
        raise UsageError(
            f"{origin} has {counted(len(curve.sizes), 'size')} of {curve.backend} {curve.operation}; a fit needs "
            f"{FEWEST_SIZES}."
        )
    problem = _Problem(curve, known)
    sizes, worlds = _held_sizes(curve), _held_worlds(curve)
    rows = [np.ones(len(curve.points)), *(problem.without_size(size) for size in sizes)]
    rows += [problem.without_world(world) for world in worlds]
    predicted, shape, constants = problem.best(np.array(rows))
    logs = np.log(problem.us / predicted)
    by_size = {size: logs[1 + at][problem.sizes == size] for at, size in enumerate(sizes)}
    by_world = {world: logs[1 + len(sizes) + at][problem.is_of(world)] for at, world in enumerate(worlds)}
    law = Law(
        family=curve.family,
        shape=shape,
        constants=constants,
        drawn=problem.draw(shape, constants),
        errors=_flat(by_size) or (-UNJUDGED, UNJUDGED),
        world_errors=_flat(by_world) or (-UNJUDGED, UNJUDGED),
        worlds=curve.worlds,
        links=links_of(curve, curve.points),
        origin=origin,
    )
    return Fit(
        curve, law, problem.ratios(by_size), {size: _relative(each) for size, each in by_size.items()},
        {world: _relative(each) for world, each in by_world.items()},
        "" if sizes else f"only {counted(len(curve.sizes), 'size')}",
        "" if worlds else _why_no_world(curve),
    )  # fmt: skip


def _flat(errors: dict[int, Floats] | dict[World, Floats]) -> tuple[float, ...]:
    return tuple(float(error) for each in errors.values() for error in each)


def _relative(logs: Floats) -> tuple[float, ...]:
    return tuple(float(abs(np.exp(-each) - 1)) for each in logs)


def _held_sizes(curve: Curve) -> tuple[int, ...]:
    return curve.sizes if len(curve.sizes) >= FEWEST_TO_HOLD_OUT else ()


def _held_worlds(curve: Curve) -> list[World]:
    """The worlds that the others can predict: those have all its levels of links, and sizes enough for a line."""
    return [world for world in curve.worlds if len(curve.worlds) > 1 and _others_suffice(curve, world)]


def _others_suffice(curve: Curve, world: World) -> bool:
    others = [point for point in curve.points if point.world != world]
    mine = [point for point in curve.points if point.world == world]
    return links_of(curve, mine) <= links_of(curve, others) and len({point.size for point in others}) >= FEWEST_SIZES


def links_of(curve: Curve, points: Sequence[Point]) -> frozenset[int]:
    """The places of alpha of the levels of links that these cases use."""
    used = np.array([curve.ways(point) for point in points])
    return frozenset(place for place in (INSIDE, BETWEEN) if used[:, :, place - 1].any())


def _why_no_world(curve: Curve) -> str:
    return "only 1 world" if len(curve.worlds) == 1 else "links differ"


class _Problem:
    """The cases of a curve as arrays."""

    def __init__(self, curve: Curve, known: Mapping[int, float]) -> None:
        self._known = known
        self.ways = np.array([curve.ways(point) for point in curve.points])
        self.us = np.array([point.us for point in curve.points])
        self.sizes = np.array([point.size for point in curve.points])
        self._points = curve.points
        self._worlds = [point.world for point in curve.points]
        self._ratio = curve.family.ratio
        many = len(curve.sizes) >= FEWEST_FOR_TWO_LINES
        self._shapes = (ONE, QUICKER, SLOWER) if many else (ONE,)

    def ratios(self, logs: Mapping[int, Floats]) -> tuple[tuple[Point, float], ...]:
        """Each point of these sizes with the exponential of its logarithm."""
        points = [[point for point in self._points if point.size == size] for size in logs]
        each = zip(points, logs.values(), strict=True)
        return tuple((point, float(np.exp(log))) for some, of in each for point, log in zip(some, of, strict=True))

    def is_of(self, world: World) -> NDArray[np.bool_]:
        """Which cases are of a world."""
        return np.array([each == world for each in self._worlds], dtype=np.bool_)

    def without_size(self, size: int) -> Floats:
        """Weights without a size."""
        return np.asarray(self.sizes != size, dtype=np.float64)

    def without_world(self, world: World) -> Floats:
        """Weights without a world."""
        return np.asarray(~self.is_of(world), dtype=np.float64)

    def best(self, weights: Floats) -> tuple[Floats, Shape, Floats]:
        """Predicted latencies of all cases for each row of ``weights``, each with the shape of least AICc; shape and
        constants of the first row."""
        solved = [(shape, *self._solve(shape, weights)) for shape in self._shapes]
        scores = np.array([self._score(shape, costs, weights) for shape, _, costs in solved])
        chosen = scores.argmin(axis=0)
        predicted = np.array([evaluate(self.ways, shape, found)[0] for shape, found, _ in solved])
        shape, found, _ = solved[chosen[0]]
        return predicted[chosen, np.arange(len(weights))], shape, found[0]

    def _solve(self, shape: Shape, weights: Floats) -> tuple[Floats, Floats]:
        """Constants and costs; even where a fit starts depends on what is kept alone."""
        kept = weights > 0
        starts = np.array([starts_of(self.ways[row], self.us[row], shape, self._ratio) for row in kept])
        return solve(self.ways, self.us, weights, shape, self._ties(shape, starts[:, 0]), starts)

    def _score(self, shape: Shape, costs: Floats, weights: Floats) -> Floats:
        """AICc for each row of weights (Hurvich and Tsai, Biometrika 1989); infinite with too few cases."""
        scores = []
        for cost, row in zip(costs, weights, strict=True):
            kept = row > 0
            count, free = int(kept.sum()), unknowns(self.ways[kept], shape)[0]
            left = count - free - 1
            spread = count * np.log(max(cost, 1e-12) / count)
            scores.append(spread + 2 * free * count / left if left > 0 else (np.inf if shape.count > 1 else 1e300))
        return np.array(scores)

    def draw(self, shape: Shape, constants: Floats) -> Floats:
        """Constants fitted to cases that are drawn with replacement (draws, constants)."""
        count = len(self.us)
        weights = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float64)
        near = np.tile(constants, (DRAWS, 1))
        return solve(self.ways, self.us, weights, shape, self._ties(shape, near), near[:, None, :])[0]

    def _ties(self, shape: Shape, near: Floats) -> Ties:
        known = {place: value for place, value in self._known.items() if place < shape.constants}
        return ties_of(shape, self._ratio, near, known)
