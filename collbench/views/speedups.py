"""Speed-ups of a chart: their numbers, their bands, and how to read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from collbench.results.best import Best, best_of, family_of, members
from collbench.results.best import choices as listed
from collbench.results.best import reading as reading_of_best
from collbench.results.cases import CaseResult
from collbench.results.pairs import ratio_within
from collbench.results.verdicts import Ratio
from collbench.views import coverage
from collbench.views.drawing import Curve

Cells = Mapping[tuple[str, int], CaseResult]  # timed cases by backend and size
Speedups = Mapping[str, Mapping[int, Ratio]]  # by backend and size: the baseline's latency over that of the backend


def speedups(cells: Cells, baseline: str) -> Speedups:
    """Speed-up of every other backend over ``baseline``, which may be the best of a family.

    The sizes of a backend that the baseline has too are judged together; a backend without any is omitted.
    """
    base = _base(cells, baseline)
    shared: dict[str, dict[int, CaseResult]] = {}
    for (name, size), case in sorted(cells.items()):
        if name != baseline and size in base:
            shared.setdefault(name, {})[size] = case
    return {
        name: {size: ratio_within(base[size], case, len(cases)) for size, case in cases.items()}
        for name, cases in shared.items()
    }


def _base(cells: Cells, baseline: str) -> dict[int, CaseResult]:
    """The timed cases of the baseline by size."""
    if family_of(baseline) is None:
        return {size: case for (name, size), case in cells.items() if name == baseline}
    return {best.case.record.bytes: best.case for best in _best(cells, baseline) if best.case.timed}


def _best(cells: Cells, baseline: str) -> list[Best]:
    """The best of a family of backends at each size."""
    family = members(family_of(baseline) or "", {name for name, _ in cells})
    found: dict[int, list[CaseResult]] = {}
    for (name, size), case in cells.items():
        if name in family:
            found.setdefault(size, []).append(case)
    return [best_of(baseline, each) for each in found.values()]


def choices(cells: Cells, baseline: str) -> list[str]:
    """What a baseline that is the best of a family is, and what was chosen; [] for other baselines."""
    chosen = [best for best in _best(cells, baseline) if best.case.timed] if family_of(baseline) else []
    return [*reading_of_best(chosen), f"Chosen: {listed(chosen)}."] if chosen else []


def curves(found: Speedups, sizes: Sequence[int]) -> list[Curve]:
    """A line for each backend, with a band where there are intervals over launches."""
    return [_curve(name, [ratios.get(size) for size in sizes], sizes) for name, ratios in found.items()]


def _curve(name: str, ratios: Sequence[Ratio | None], sizes: Sequence[int]) -> Curve:
    value, low, high = (
        [math.nan if bound is None else bound for bound in (getattr(ratio, field, None) for ratio in ratios)]
        for field in ("value", "low", "high")
    )
    return Curve(name, sizes, value, low, high) if any(map(math.isfinite, low)) else Curve(name, sizes, value)


def reading(found: Speedups) -> str:
    """How to read the speed-ups, in a sentence for the foot; "" if there are none."""
    ratios = [ratio for of_one in found.values() for ratio in of_one.values()]
    few = coverage.no_verdict(ratios)
    sure = [f"band: {words}." for words in coverage.intervals(ratios, "sizes of a curve")]
    parts = [*sure, *([f"{few}."] if few else [])]
    return f"Speed-up: geometric mean over launches; {' '.join(parts)}" if ratios else ""
