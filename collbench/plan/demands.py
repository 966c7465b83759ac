"""Single problems that are asked for one by one, where a sweep is not every combination of its options."""

from __future__ import annotations

from dataclasses import dataclass

from collbench.plan.layout import Grouping


@dataclass(frozen=True)
class Demand:
    """A collective on ``size`` bytes in each of some groups; ``hidden``: elements in a row, 0 without rows."""

    grouping: Grouping
    collective: str
    dtype: str
    size: int
    hidden: int = 0
