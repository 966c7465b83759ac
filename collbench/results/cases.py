"""What a case over its launches is worth: one rule for every table, ratio, chart, choice and gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from collbench.results.records import Record

GRAVEST_FIRST = ("timeout", "wrong", "failed")
LATENCY = "latency_us_median"
Identity = tuple[object, ...]


@dataclass(frozen=True)
class CaseResult:
    """The rows of one case, at least one, in the order of its launches, and what the case came to.

    A launch that timed out, was wrong or failed (in this order of gravity) decides for all of them: ``status`` and
    ``reason`` are its own, and no latency of the case counts. Otherwise the case is ``ok`` where a launch is, else
    ``skipped``.
    """

    rows: tuple[Record, ...]
    status: str
    reason: str

    @property
    def record(self) -> Record:
        """A row that says what was run: the first."""
        return self.rows[0]

    @property
    def is_bad(self) -> bool:
        """Whether a launch was wrong, failed or timed out."""
        return _is_bad(self.status)

    @property
    def timed(self) -> tuple[Record, ...]:
        """The launches that have a latency; none where the case is bad."""
        return () if self.is_bad else tuple(row for row in self.rows if row.latency_us_median is not None)

    def median(self, column: str = LATENCY) -> float | None:
        """Median over the launches that have a latency; None where none of them has a number in ``column``."""
        return median_over(self.timed, column)


def _is_bad(status: str) -> bool:
    return status not in ("ok", "skipped")


def _gravity(row: Record) -> int:
    """Higher is worse; a status that is not known here is bad as well."""
    if row.status in GRAVEST_FIRST:
        return 2 + len(GRAVEST_FIRST) - GRAVEST_FIRST.index(row.status)
    return 2 if _is_bad(row.status) else int(row.status == "ok")


def _case(rows: Sequence[Record]) -> CaseResult:
    ordered = sorted(rows, key=lambda row: (row.run_id, row.launch))
    worst = max(ordered, key=_gravity)
    return CaseResult(tuple(ordered), worst.status, worst.reason)


def cases(records: Iterable[Record]) -> list[CaseResult]:
    """The cases behind these rows, in order of appearance; rows of jobs belong to none."""
    found: dict[Identity, list[Record]] = {}
    for record in records:
        if not record.is_job:
            found.setdefault(record.identity, []).append(record)
    return [_case(rows) for rows in found.values()]


def median_over(records: Iterable[Record], column: str) -> float | None:
    """Median over launches of a column of numbers; None where no row has one."""
    values = [value for record in records if (value := getattr(record, column)) is not None]
    return median(values) if values else None
