"""Single problems that are asked for one by one, where a sweep is not every combination of its options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from collbench.plan.layout import Groups, Layout, grouped


@dataclass(frozen=True)
class Grouping:
    """Groups of ranks that run a collective side by side, on nodes of at most ``per_node`` ranks."""

    groups: Groups
    per_node: int

    @property
    def ranks(self) -> int:
        """Ranks that a launch must have."""
        return max(map(max, self.groups)) + 1

    def layouts(self, hosts: Sequence[str]) -> tuple[Layout, ...]:
        """Its worlds in a launch whose rank r runs on ``hosts[r]``. Raises UsageError where that has too few ranks."""
        return grouped(self.groups, hosts, self.per_node)


@dataclass(frozen=True)
class Demand:
    """A collective on ``size`` bytes in each of some groups; ``hidden``: elements in a row, 0 without rows."""

    grouping: Grouping
    collective: str
    dtype: str
    size: int
    hidden: int = 0


def demands_on(demands: Iterable[Demand], layout: Layout, layouts: Iterable[Layout]) -> Iterator[Demand]:
    """The demands of which ``layout``, one of ``layouts``, is a world."""
    mine = set(layout.groups)
    larger = [others for other in layouts if mine < (others := set(other.groups))]
    for demand in demands:
        wanted = set(demand.grouping.groups)
        if mine <= wanted and not any(others <= wanted for others in larger):
            yield demand
