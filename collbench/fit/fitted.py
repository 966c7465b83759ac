"""A law fitted to the rows of a results file as a source of latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from collbench.errors import UsageError
from collbench.fit.curves import Curve, curves_of
from collbench.fit.estimate import Estimate, check_request
from collbench.fit.fitting import fit_curve
from collbench.fit.law import Law
from collbench.fit.measured import check_alike, timed_cases
from collbench.results.records import Record


@dataclass(frozen=True)
class FittedRows:
    """A law for each collective of ``backend`` among ``records``; ``origin`` names their file."""

    records: tuple[Record, ...]
    backend: str
    origin: str

    @property
    def name(self) -> str:
        """The backend."""
        return self.backend

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`; raises UsageError for a collective without rows, with too few sizes, and for worlds with
        links that no row has."""
        check_request(size, ranks, nodes)
        if operation not in self._curves:
            raise UsageError(f"{self.origin} has no rows of {self.backend} for {operation}.")
        return self._law(operation).estimate(size, ranks, nodes)

    @cached_property
    def _curves(self) -> Mapping[str, Curve]:
        """The curve of each collective. Raises UsageError where rows of one differ in more than size and world."""
        mine = [row for row in self.records if row.backend == self.backend]
        for operation in dict.fromkeys(row.collective for row in mine):
            check_alike(timed_cases((row for row in mine if row.collective == operation), self.backend), self.origin)
        return MappingProxyType({curve.operation: curve for curve in curves_of(mine)})

    @cached_property
    def _laws(self) -> dict[str, Law]:
        return {}

    def _law(self, operation: str) -> Law:
        if operation not in self._laws:
            self._laws[operation] = fit_curve(self._curves[operation], self.origin).law
        return self._laws[operation]
