"""The outcome of a case over its launches: one rule for all tables, ratios, charts, choices and gates."""

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
    """The rows of one case (at least one, ordered by launch) and its outcome.

    The gravest launch determines ``status`` and ``reason``: one that timed out, then one that was wrong, then one that
    failed; the case then has no latency. Otherwise the case is ``ok`` if any launch is, else ``skipped``.
    """

    rows: tuple[Record, ...]
    status: str
    reason: str

    @property
    def record(self) -> Record:
        """The first row, for the columns that all rows share."""
        return self.rows[0]

    @property
    def is_bad(self) -> bool:
        """Whether any launch was wrong, failed or timed out."""
        return _is_bad(self.status)

    @property
    def timed(self) -> tuple[Record, ...]:
        """The rows that have a latency; () if the case is bad."""
        return () if self.is_bad else tuple(row for row in self.rows if row.latency_us_median is not None)

    def median(self, column: str = LATENCY) -> float | None:
        """Median of ``column`` over the launches in ``timed``; None if it is empty in all of them."""
        return median_over(self.timed, column)


def _is_bad(status: str) -> bool:
    return status not in ("ok", "skipped")


def _gravity(row: Record) -> int:
    """A sort key, higher for worse; an unknown status counts as bad."""
    if row.status in GRAVEST_FIRST:
        return 2 + len(GRAVEST_FIRST) - GRAVEST_FIRST.index(row.status)
    return 2 if _is_bad(row.status) else int(row.status == "ok")


def _case(rows: Sequence[Record]) -> CaseResult:
    ordered = sorted(rows, key=lambda row: (row.run_id, row.launch))
    worst = max(ordered, key=_gravity)
    return CaseResult(tuple(ordered), worst.status, worst.reason)


def gravest(found: Iterable[CaseResult]) -> CaseResult:
    """The case with the gravest status of at least one."""
    return max(found, key=lambda case: max(map(_gravity, case.rows)))


def cases(records: Iterable[Record]) -> list[CaseResult]:
    """The cases of these rows, in order of appearance; rows of jobs are ignored."""
    found: dict[Identity, list[Record]] = {}
    for record in records:
        if not record.is_job:
            found.setdefault(record.identity, []).append(record)
    return [_case(rows) for rows in found.values()]


def median_over(records: Iterable[Record], column: str) -> float | None:
    """Median of a numeric column over rows; None if it is empty in all of them."""
    values = [value for record in records if (value := getattr(record, column)) is not None]
    return median(values) if values else None
