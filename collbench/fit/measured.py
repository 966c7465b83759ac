"""Latencies as a results file has them: at a measured size, or on the line between two of them in logarithms."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from collbench.errors import UsageError
from collbench.fit.curves import is_even
from collbench.fit.estimate import ASSUMED, MEASURED, Estimate, check_request
from collbench.plan.layout import VIRTUAL
from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.records import Record
from collbench.results.statistics import CONFIDENCE, mean_interval
from collbench.tables import counted

WIDEST = 16  # of two neighbours between which a latency is read: all that sweeps by x2, x4 and x16 have
World = tuple[int, int]  # ranks, nodes
CHOICES = (
    "dtype",
    "op",
    "mode",
    "cache",
    "in_place",
    "hidden",
    "groups",
    "skew",
    "pair",
)  # what the cases of a curve share


@dataclass(frozen=True)
class Measured:
    """The sound cases of ``backend`` among ``records`` as a source of latencies; ``origin`` names their file."""

    records: tuple[Record, ...]
    backend: str
    origin: str

    @property
    def name(self) -> str:
        """The backend."""
        return self.backend

    def of(self, operation: str, size: int, ranks: int, nodes: int) -> Estimate:
        """As `Latencies.of`; raises UsageError for a world or a size that was not measured, nor lies between two
        sizes at most WIDEST apart."""
        check_request(size, ranks, nodes)
        points = self._curve(operation, (ranks, nodes))
        sizes = sorted(points)
        if size in points:
            return points[size]
        place = bisect_left(sizes, size)
        if place in (0, len(sizes)) or sizes[place] > WIDEST * sizes[place - 1]:
            raise UsageError(f"{self._words(operation, ranks, nodes)} have no size near {format_size(size)}.")
        return _between(points[sizes[place - 1]], points[sizes[place]], sizes[place - 1], sizes[place], size)

    def _words(self, operation: str, ranks: int, nodes: int) -> str:
        where = f"{counted(ranks, 'rank')} on {counted(nodes, 'node')}"
        return f"the rows of {self.backend} for {operation} on {where} in {self.origin}"

    def _curve(self, operation: str, world: World) -> Mapping[int, Estimate]:
        found = self._curves.get((operation, *world))
        if not found:
            raise UsageError(f"{self._words(operation, *world)}: there are none with a latency.")
        return found

    @cached_property
    def _curves(self) -> Mapping[tuple[str, int, int], Mapping[int, Estimate]]:
        """Latency by size for each collective, ranks and nodes. Raises UsageError where rows differ in more."""
        found: dict[tuple[str, int, int], list[CaseResult]] = {}
        for case in timed_cases(self.records, self.backend):
            row = case.record
            if not is_even(row):
                continue
            found.setdefault((row.collective, row.ranks, row.nodes), []).append(case)
        return MappingProxyType({key: self._points(curve) for key, curve in found.items()})

    def _points(self, curve: Sequence[CaseResult]) -> Mapping[int, Estimate]:
        check_alike(curve, self.origin, (*CHOICES, "fabric"))
        return {case.record.bytes: self._estimate(case) for case in curve}

    def _estimate(self, case: CaseResult) -> Estimate:
        middle = case.median() or math.nan
        low, high = range_of(case)
        virtual = case.record.fabric.endswith(VIRTUAL)  # links of one host, which say nothing of a network
        source = f"{self.origin} {self.backend}{' on virtual nodes' * virtual} {format_size(case.record.bytes)}"
        return Estimate(middle, min(low, middle), max(high, middle), ASSUMED if virtual else MEASURED, source)


def timed_cases(records: Iterable[Record], backend: str) -> list[CaseResult]:
    """The cases of ``backend`` that have a latency: of no launch wrong, failed or timed out."""
    return [case for case in cases(row for row in records if row.backend == backend) if case.timed]


def check_alike(curve: Sequence[CaseResult], origin: str, names: Sequence[str] = CHOICES) -> None:
    """Raise UsageError if cases of one curve differ in one of these columns."""
    for name in names:
        values = sorted({_cell(getattr(case.record, name)) for case in curve})
        if len(values) > 1:
            shown = ", ".join(value or "none" for value in values)
            raise UsageError(
                f"{origin} has rows of {curve[0].record.backend} with several values of {name} ({shown}); select one, "
                f"as in {origin}?{name}={values[0]}#{curve[0].record.backend}."
            )


def _cell(value: object) -> str:
    """A value as it stands in a results file."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def range_of(case: CaseResult) -> tuple[float, float]:
    """The 95 % range of a timed case in microseconds: Student's of the logarithms over launches, the row's interval
    where there is one launch."""
    values = [row.latency_us_median for row in case.timed if row.latency_us_median is not None]
    if len(values) == 1:
        row = case.timed[0]
        low, high = row.latency_us_ci_low, row.latency_us_ci_high
        return (values[0] if low is None else low, values[0] if high is None else high)
    low, high = mean_interval([math.log(value) for value in values], CONFIDENCE)
    return math.exp(low), math.exp(high)


def _between(before: Estimate, after: Estimate, small: int, large: int, size: int) -> Estimate:
    share = math.log(size / small) / math.log(large / small)

    def weigh(one: float, other: float) -> float:
        return float(one ** (1 - share) * other**share)

    source = f"{before.source} to {format_size(large)}"
    return Estimate(
        weigh(before.us, after.us), weigh(before.low, after.low), weigh(before.high, after.high), before.basis, source
    )
