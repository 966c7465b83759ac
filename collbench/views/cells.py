"""Cells of tables that several of them have."""

from __future__ import annotations

from collbench.results.cases import CaseResult
from collbench.tables import show_us


def show_case(case: CaseResult | None) -> str:
    """The median latency in microseconds; without one the status, in capitals if the case is bad."""
    if case is None:
        return ""
    value = case.median()
    return case.status.upper() if case.is_bad else case.record.status if value is None else show_us(value)
