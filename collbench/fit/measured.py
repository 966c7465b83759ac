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
from collbench.fit.estimate import ASSUMED, MEASURED, AmbiguousError, Estimate, check_request
from collbench.plan.layout import VIRTUAL
from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.footing import foreign_kind
from collbench.results.records import Record
from collbench.results.statistics import CONFIDENCE, mean_interval
from collbench.tables import counted

WIDEST = 16  # of two neighbours between which a latency is read: all that sweeps by x2, x4 and x16 have
World = tuple[int, int]  # ranks, nodes
OF_A_CURVE = ("op", "mode", "cache", "in_place", "skew", "pair")
OF_A_SIZE = ("dtype", "groups", "hidden")  # each size of a pass has one of each, but not all sizes the same
CHOICES = (*OF_A_SIZE, *OF_A_CURVE)  # what the cases of a fitted curve share
MOST_SHOWN = 4  # values of a column in a message


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
        sizes at most WIDEST apart, and AmbiguousError where rows that differ in CHOICES would have to be mixed."""
        check_request(size, ranks, nodes)
        curve = self._curve(operation, (ranks, nodes))
        check_alike(curve, self.origin, (*OF_A_CURVE, "fabric"))
        sizes = sorted({case.record.bytes for case in curve})
        place = bisect_left(sizes, size)
        if size in sizes:
            return self._at(curve, size)[0]
        if place in (0, len(sizes)) or sizes[place] > WIDEST * sizes[place - 1]:
            raise UsageError(f"{self._words(operation, ranks, nodes)} have no size near {format_size(size)}.")
        small, large = sizes[place - 1 : place + 1]
        before, after = self._at(curve, small, large)
        return _between(before, after, small, large, size)

    def _words(self, operation: str, ranks: int, nodes: int) -> str:
        where = f"{counted(ranks, 'rank')} on {counted(nodes, 'node')}"
        return f"the rows of {self.backend} for {operation} on {where} in {self.origin}"

    def _curve(self, operation: str, world: World) -> Sequence[CaseResult]:
        found = self._curves.get((operation, *world))
        if not found:
            raise UsageError(f"{self._words(operation, *world)}: there are none with a latency.")
        return found

    @cached_property
    def _curves(self) -> Mapping[tuple[str, int, int], Sequence[CaseResult]]:
        """The cases of each collective, ranks and nodes."""
        found: dict[tuple[str, int, int], list[CaseResult]] = {}
        for case in timed_cases(self.records, self.backend):
            row = case.record
            if not is_even(row):
                continue
            found.setdefault((row.collective, row.ranks, row.nodes), []).append(case)
        return MappingProxyType(found)

    def _at(self, curve: Sequence[CaseResult], *sizes: int) -> list[Estimate]:
        """The latencies at these sizes, whose cases share OF_A_SIZE."""
        here = [case for case in curve if case.record.bytes in sizes]
        check_alike(here, self.origin, OF_A_SIZE)
        return [self._estimate(case) for case in sorted(here, key=lambda case: case.record.bytes)]

    def _estimate(self, case: CaseResult) -> Estimate:
        middle = case.median() or math.nan
        low, high = range_of(case)
        virtual = case.record.fabric.endswith(VIRTUAL)  # links of one host, which say nothing of a network
        where = f"{self.origin} {self.backend}{foreign_kind(case.record)}{' on virtual nodes' * virtual}"
        source = f"{where} {format_size(case.record.bytes)}"
        return Estimate(middle, min(low, middle), max(high, middle), ASSUMED if virtual else MEASURED, source)


def timed_cases(records: Iterable[Record], backend: str) -> list[CaseResult]:
    """The cases of ``backend`` that have a latency: of no launch wrong, failed or timed out."""
    return [case for case in cases(row for row in records if row.backend == backend) if case.timed]


def check_alike(curve: Sequence[CaseResult], origin: str, names: Sequence[str] = CHOICES) -> None:
    """Raise AmbiguousError if cases of one curve differ in one of these columns."""
    for name in names:
        values = sorted({_cell(getattr(case.record, name)) for case in curve})
        if len(values) > 1:
            row, more = curve[0].record, len(values) - MOST_SHOWN
            shown = ", ".join(value or "none" for value in values[:MOST_SHOWN]) + (f" and {more} more" * (more > 0))
            raise AmbiguousError(
                f"{origin} has rows of {row.backend} for {row.collective} with several values of {name} ({shown}); "
                f"select one, as in {origin}?{name}={values[0]}#{row.backend}."
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
