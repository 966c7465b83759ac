"""Sums of estimates: the range is the sum of ranges, the basis that of the weakest part."""

from __future__ import annotations

from collections.abc import Iterable

from collbench.fit.estimate import BASES, MEASURED, Estimate

NOTHING = Estimate(0.0, 0.0, 0.0, MEASURED, "")  # exactly known: nothing is sent
Counted = tuple[float, Estimate]  # how often, and for how long


def weakest(bases: Iterable[str]) -> str:
    """The weakest of these bases, MEASURED of none."""
    return max(bases, key=BASES.index, default=MEASURED)


def total(parts: Iterable[Counted]) -> Estimate:
    """The sum of estimates, each as often as its count says, in microseconds; NOTHING of none."""
    some = [(count, each) for count, each in parts if count and each.us]
    sources = dict.fromkeys(each.source for _, each in some if each.source)
    return Estimate(
        us=sum(count * each.us for count, each in some),
        low=sum(count * each.low for count, each in some),
        high=sum(count * each.high for count, each in some),
        basis=weakest(each.basis for _, each in some),
        source="; ".join(sources),
    )
