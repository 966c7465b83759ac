"""The numbers of a chart's lines, from the cases of one run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from collbench.plan.bounds import find_link
from collbench.results.cases import LATENCY, CaseResult, median_over
from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.views.curves import Curve, Flaw

Group = list[CaseResult]
Cells = Mapping[tuple[str, int], CaseResult]  # the case behind one point, by backend and size or ranks


def cells_of(group: Iterable[CaseResult], x: str = "bytes") -> Cells:
    """The timed cases by backend and the column ``x``."""
    return {(case.record.backend, getattr(case.record, x)): case for case in group if case.timed}


def names_of_cells(cells: Cells) -> list[str]:
    """The backends that were timed, sorted."""
    return sorted({name for name, _ in cells})


def sizes_of(group: Iterable[CaseResult]) -> list[int]:
    """The sizes (bytes) of these cases, ascending."""
    return sorted({case.record.bytes for case in group})


def of_size(group: Group, size: int) -> Group:
    """The cases of one size."""
    return [case for case in group if case.record.bytes == size]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _column(cells: Cells, name: str, xs: Sequence[int], field: str) -> list[float]:
    found = (cells.get((name, x)) for x in xs)
    return [_number(case.median(field) if case else None) for case in found]


def latencies(cells: Cells, xs: Sequence[int], dashed: bool = False) -> list[Curve]:
    """Median latency (microseconds) of each backend, from the 5th to the 95th percentile."""
    return [_latency(cells, name, xs, dashed) for name in names_of_cells(cells)]


def _latency(cells: Cells, name: str, xs: Sequence[int], dashed: bool) -> Curve:
    y, low, high = (_column(cells, name, xs, field) for field in (LATENCY, "latency_us_p05", "latency_us_p95"))
    return Curve(name, xs, y, low, high, dashed)


def of_column(cells: Cells, xs: Sequence[int], field: str) -> list[Curve]:
    """The median of another column in microseconds of each backend, dashed and without a band."""
    return [Curve(name, xs, _column(cells, name, xs, field), dashed=True) for name in names_of_cells(cells)]


def bandwidths(cells: Cells, xs: Sequence[int], dashed: bool = False) -> list[Curve]:
    """Median bus bandwidth (10**9 bytes per second) of each backend that has one."""
    names = names_of_cells(cells)
    curves = (Curve(name, xs, _column(cells, name, xs, "busbw_gb_s"), dashed=dashed) for name in names)
    return [curve for curve in curves if _has_numbers(curve)]


def _has_numbers(curve: Curve) -> bool:
    return any(map(math.isfinite, curve.y))


def bounds(rows: Sequence[Record], sizes: Sequence[int]) -> list[Curve]:
    """The lower bound of the latency (microseconds), if it is known at any size."""
    y = [_number(median_over((row for row in rows if row.bytes == size), "bound_us")) for size in sizes]
    return [curve for curve in [Curve("lower bound", sizes, y)] if _has_numbers(curve)]


def flaws(group: Iterable[CaseResult], x: str = "bytes", dashed: bool = False) -> list[Flaw]:
    """The cases that were wrong, failed or timed out, at their place in the column ``x``."""
    bad = [case for case in group if case.is_bad]
    return [Flaw(case.record.backend, getattr(case.record, x), case.status, dashed) for case in bad]


def peaks(rows: Iterable[Record], facts: Mapping[Record, Facts]) -> dict[str, float]:
    """The bandwidth out of a GPU (10**9 bytes per second) of the links that these rows used, by a label for each;
    {} where GPU or link are not known."""
    used = {(facts[row].get("gpu") or "", row.fabric) for row in rows if row in facts}
    found = sorted({link.bandwidth / 1e9 for device, fabric in used if (link := find_link(device, fabric))})
    return {f"NVLink peak, {peak:,.0f} GB/s": peak for peak in found}
