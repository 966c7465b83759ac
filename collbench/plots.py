"""Records to figures: which charts there are, the numbers in them, their titles and file names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure

from collbench import charts
from collbench.analysis import Ratio, Timing, ratio
from collbench.charts import Curve, Frame, Win
from collbench.comparison import default_baseline
from collbench.errors import UsageError, pick
from collbench.records import VIRTUAL, Record
from collbench.report import panel_of, panels

Words = tuple[str, ...]
Group = list[Record]
Cells = Mapping[tuple[str, int], Group]  # the launches behind one point, by backend and size or ranks
MIB = 1 << 20


def _timed(launches: Group) -> Group:
    """The launches of one case that have a latency; none where one of them went wrong."""
    if any(record.status not in ("ok", "skipped") for record in launches):
        return []
    return [record for record in launches if record.latency_us_median is not None]


def _cells(records: Iterable[Record], x: str = "bytes") -> Cells:
    found: dict[tuple[str, int], Group] = {}
    for record in records:
        found.setdefault((record.backend, getattr(record, x)), []).append(record)
    return {key: timed for key, launches in found.items() if (timed := _timed(launches))}


def _middle(launches: Iterable[Record], field: str) -> float:
    """Median over launches; NaN where none has the number."""
    values = [value for record in launches if (value := getattr(record, field)) is not None]
    return median(values) if values else math.nan


def _curve(cells: Cells, name: str, xs: Sequence[int], field: str) -> list[float]:
    return [_middle(cells.get((name, x), ()), field) for x in xs]


def _names(cells: Cells) -> list[str]:
    return sorted({name for name, _ in cells})


def _latency(cells: Cells, xs: Sequence[int]) -> list[Curve]:
    fields = ("latency_us_median", "latency_us_p05", "latency_us_p95")
    return [Curve(name, xs, *(_curve(cells, name, xs, field) for field in fields)) for name in _names(cells)]


def _bandwidth(cells: Cells, xs: Sequence[int]) -> list[Curve]:
    curves = (Curve(name, xs, _curve(cells, name, xs, "busbw_gb_s")) for name in _names(cells))
    return [curve for curve in curves if _has_numbers(curve)]


def _has_numbers(curve: Curve) -> bool:
    return any(map(math.isfinite, curve.y))


def _bound(records: Group, sizes: Sequence[int]) -> Curve | None:
    """The lower bound, which needs no measurement: a skipped case has one too, where its row says so."""
    y = [_middle((record for record in records if record.bytes == size), "bound_us") for size in sizes]
    curve = Curve(charts.BOUND, sizes, y)
    return curve if _has_numbers(curve) else None


def _timing(record: Record) -> Timing:
    low, high = record.latency_us_ci_low, record.latency_us_ci_high
    return Timing(record.latency_us_median or math.nan, low or 0.0, math.inf if high is None else high)


def _ratio(a: Group, b: Group) -> Ratio:
    """How many times slower ``a`` is than ``b``: launch against launch, or in order where they share no launch."""
    mine, theirs = ({(record.run_id, record.launch): record for record in side} for side in (a, b))
    shared = [key for key in mine if key in theirs]
    pairs = [(mine[key], theirs[key]) for key in shared] or list(zip(a, b, strict=False))
    return ratio([_timing(x) for x, _ in pairs], [_timing(y) for _, y in pairs])


def _speedups(cells: Cells, xs: Sequence[int], baseline: str | None) -> list[Curve]:
    """Speed-up of every other backend over ``baseline``; none where they share no size."""

    def at(name: str, x: int) -> float:
        both = [cells.get((who, x)) for who in (baseline, name)]
        return _ratio(both[0], both[1]).value if both[0] and both[1] else math.nan

    curves = (Curve(name, xs, [at(name, x) for x in xs]) for name in _names(cells) if name != baseline)
    return [curve for curve in curves if _has_numbers(curve)]
