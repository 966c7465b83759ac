"""Sources of latencies that are plain formulas."""

from __future__ import annotations

from dataclasses import dataclass, field

from collbench.errors import UsageError
from collbench.fit.estimate import MODELLED, Estimate


@dataclass(frozen=True)
class Flat:
    """``us`` for every collective in one node, ``far`` over nodes for each of them, or nothing for those that it
    ``lacks``; its range is a tenth either way."""

    us: float = 5.0
    far: float = 20.0
    name: str = "flat"
    basis: str = MODELLED
    lacks: frozenset[str] = field(default_factory=frozenset)

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        if operation in self.lacks:
            raise UsageError(f"{self.name} has no {operation}.")
        us = self.us if nodes == 1 else self.far * nodes
        return Estimate(us, 0.9 * us, 1.1 * us, self.basis, self.name)
