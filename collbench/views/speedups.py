"""Speed-ups of a chart: their numbers, their bands, and how to read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from collbench.results.best import Best, best_of, family_of, members
from collbench.results.best import choices as listed
from collbench.results.best import reading as reading_of_best
from collbench.results.cases import CaseResult
from collbench.results.pairs import ratio_between, ratio_within
from collbench.results.verdicts import Ratio
from collbench.views import coverage
from collbench.views.curves import Curve

Ratios = Mapping[str, Mapping[int, Ratio]]  # by backend and size: the other's latency over that of the backend
Cells = Mapping[tuple[str, int], CaseResult]
Judge = Callable[[CaseResult, CaseResult, int], Ratio]


def speedups(cells: Cells, baseline: str) -> Ratios:
    """Speed-up of every other backend over ``baseline``, which may be the best of a family, from the timed cases.

    The sizes of a backend that the baseline has too are judged together; a backend without any is omitted.
    """
    base = _base(cells, baseline)
    mine = {(name, size): case for (name, size), case in cells.items() if name != baseline}
    return _judged(((name, size, base.get(size), case) for (name, size), case in mine.items()), ratio_within)


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


def gains(before: Cells, after: Cells) -> Ratios:
    """Speed-up of every backend over itself in an earlier run; the sizes of a backend are judged together."""
    return _judged(((*key, before.get(key), case) for key, case in after.items()), ratio_between)


def _judged(found: Iterable[tuple[str, int, CaseResult | None, CaseResult]], judge: Judge) -> Ratios:
    shared: dict[str, dict[int, tuple[CaseResult, CaseResult]]] = {}
    for name, size, base, case in sorted(found, key=lambda each: each[:2]):
        if base is not None:
            shared.setdefault(name, {})[size] = (base, case)
    return {name: {size: judge(*both, len(pairs)) for size, both in pairs.items()} for name, pairs in shared.items()}


def curves(found: Ratios, sizes: Sequence[int]) -> list[Curve]:
    """A line for each backend, with a band where there are intervals over launches."""
    return [_curve(name, [ratios.get(size) for size in sizes], sizes) for name, ratios in found.items()]


def _curve(name: str, ratios: Sequence[Ratio | None], sizes: Sequence[int]) -> Curve:
    value, low, high = (
        [math.nan if bound is None else bound for bound in (getattr(ratio, field, None) for ratio in ratios)]
        for field in ("value", "low", "high")
    )
    return Curve(name, sizes, value, low, high) if any(map(math.isfinite, low)) else Curve(name, sizes, value)


def reading(found: Ratios) -> str:
    """How to read the speed-ups, in a sentence for the foot; "" if there are none."""
    ratios = [ratio for of_one in found.values() for ratio in of_one.values()]
    few = coverage.no_verdict(ratios)
    sure = [f"band or bar: {words}." for words in coverage.intervals(ratios, "sizes of a curve")]
    parts = [*sure, *([f"{few}."] if few else [])]
    return f"Speed-up: geometric mean over launches; {' '.join(parts)}" if ratios else ""
