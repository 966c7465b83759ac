"""A law fitted to the rows of a results file as a source of latencies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from collbench.errors import UsageError
from collbench.fit.curves import Curve, curves_of
from collbench.fit.estimate import Estimate, check_request
from collbench.fit.fitting import fit_curve
from collbench.fit.law import Law
from collbench.fit.measured import check_alike, timed_cases
from collbench.results.footing import foreign_kind
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
        return self._law(operation).estimate(size, ranks, nodes)

    def _curve(self, operation: str) -> Curve:
        """The curve of a collective. Raises UsageError without rows, and AmbiguousError where they differ in more than
        size and world."""
        mine = [row for row in self.records if (row.backend, row.collective) == (self.backend, operation)]
        check_alike(timed_cases(mine, self.backend), self.origin)
        curves = curves_of(mine)
        if not curves:
            raise UsageError(f"{self.origin} has no rows of {self.backend} for {operation}.")
        return curves[0]

    @cached_property
    def _laws(self) -> dict[str, Law]:
        return {}

    def _law(self, operation: str) -> Law:
        if operation not in self._laws:
            curve = self._curve(operation)
            self._laws[operation] = fit_curve(curve, f"{self.origin}{foreign_kind(curve.cases[0].record)}").law
        return self._laws[operation]
