"""Sizes at which one backend becomes quicker than another, by their laws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from collbench.fit.curves import World
from collbench.fit.fitting import Fit
from collbench.fit.lines import Floats

_PER_DOUBLING = 16
_FEWEST = 0.8  # of the drawn constants that must have the crossing too, or it counts as uncertain
_TAILS = (2.5, 97.5)


@dataclass(frozen=True)
class Crossing:
    """``small`` is quicker below ``size`` bytes and ``large`` above, on ``world``; ``low`` to ``high`` are 95 % of the
    sizes that drawn constants give, None where many of these give none."""

    world: World
    small: str
    large: str
    size: float
    low: float | None
    high: float | None


def crossings(fits: Sequence[Fit]) -> list[Crossing]:
    """All crossings among fits of one collective, type and mode, within the sizes and worlds that both have."""
    return [found for one, other in combinations(fits, 2) for found in _of_two(one, other)]


def _of_two(one: Fit, other: Fit) -> Iterator[Crossing]:
    first = max(one.curve.sizes[0], other.curve.sizes[0])
    last = min(one.curve.sizes[-1], other.curve.sizes[-1])
    if first >= last:
        return
    steps = max(2, round(_PER_DOUBLING * np.log2(last / first)))
    sizes = [round(size) for size in np.geomspace(first, last, steps)]
    for world in [world for world in one.curve.worlds if world in other.curve.worlds]:
        yield from _on_world(one, other, world, sizes)


def _on_world(one: Fit, other: Fit, world: World, sizes: Sequence[int]) -> Iterator[Crossing]:
    virtual = any(point.virtual for point in one.curve.points if point.world == world)

    def ratios(drawn: bool) -> Floats:
        both = [each.law.us(sizes, *world, drawn=drawn, virtual=virtual) for each in (one, other)]
        return np.log(both[0]) - np.log(both[1])

    central, drawn = ratios(drawn=False)[0], ratios(drawn=True)
    names = one.curve.backend, other.curve.backend
    for at in _changes(central):
        rising = bool(central[at] < 0)  # the first is quicker below
        places = [near for row in drawn if (near := _nearest(row, at, rising, sizes))]
        low, high = np.percentile(places, _TAILS) if len(places) >= _FEWEST * len(drawn) else (None, None)
        small, large = names if rising else names[::-1]
        yield Crossing(world, small, large, _place(central, at, sizes), low, high)


def _changes(ratios: Floats) -> Iterable[int]:
    """Where the sign changes between a place and the next."""
    signs = np.sign(ratios)
    return [int(at) for at in np.nonzero(signs[:-1] * signs[1:] < 0)[0]]


def _nearest(ratios: Floats, near: int, rising: bool, sizes: Sequence[int]) -> float | None:
    """The crossing in the same direction nearest to a place; None without one."""
    alike = [at for at in _changes(ratios) if bool(ratios[at] < 0) is rising]
    return _place(ratios, min(alike, key=lambda at: abs(at - near)), sizes) if alike else None


def _place(ratios: Floats, at: int, sizes: Sequence[int]) -> float:
    """The size at which the line between two places is 0."""
    share = ratios[at] / (ratios[at] - ratios[at + 1])
    return float(np.exp((1 - share) * np.log(sizes[at]) + share * np.log(sizes[at + 1])))
