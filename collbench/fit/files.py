"""The fits of a results file, and what they predict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError
from collbench.fit.curves import World, curves_of
from collbench.fit.estimate import Estimate
from collbench.fit.fitting import Fit, fit_curve
from collbench.plan.rms_norm import rows_words
from collbench.plan.skew import skew_words
from collbench.results.panels import groups_words
from collbench.results.records import Record

Case = tuple[int, int, int]  # bytes, ranks, nodes


@dataclass(frozen=True)
class Fitting:
    """The fits of one results file, and the curves without one: backend and collective, and why."""

    path: Path
    fits: tuple[Fit, ...]
    unfitted: tuple[tuple[str, str], ...]

    @property
    def records(self) -> list[Record]:
        """The rows that were fitted."""
        return [row for fit in self.fits for case in fit.curve.cases for row in case.timed]

    def errors(self, of_worlds: bool) -> list[float]:
        """All errors at held-out sizes, or in held-out worlds."""
        found = [fit.by_world if of_worlds else fit.by_size for fit in self.fits]
        return [error for each in found for errors in each.values() for error in errors]


def fit_file(path: Path, records: Iterable[Record]) -> Fitting:
    """A law for every curve of a results file. Raises UsageError if none has sizes enough."""
    fits: list[Fit] = []
    unfitted: list[tuple[str, str]] = []
    for curve in curves_of(records):
        try:
            fits.append(fit_curve(curve, str(path)))
        except UsageError as error:
            unfitted.append((f"{curve.backend} {curve.operation}", str(error)))
    if not fits:
        raise UsageError(unfitted[0][1] if unfitted else f"{path} has no latency on two ranks or more to fit.")
    return Fitting(path, tuple(fits), tuple(unfitted))


def group_of(fit: Fit) -> str:
    """What the fits of one table share, in words: collective, rows, type, mode."""
    row = fit.curve.cases[0].record
    how = [row.mode, "cold" if row.cache == "cold" else "", "in place" if row.in_place else "", row.pair,
           groups_words(row.groups), skew_words(row.skew)]  # fmt: skip
    return " · ".join(filter(None, [row.collective, rows_words(row.hidden), row.dtype, row.op, *how]))


def grouped(fits: Iterable[Fit]) -> dict[str, list[Fit]]:
    """The fits by what they share, those of each by backend."""
    found: dict[str, list[Fit]] = {}
    for fit in sorted(fits, key=lambda each: each.curve.backend):
        found.setdefault(group_of(fit), []).append(fit)
    return found


def shape_of(world: World) -> str:
    """Nodes and ranks on each as ``--layout`` has them: ``2x4``."""
    return f"{world[1]}x{world[0] // world[1]}"


@dataclass(frozen=True)
class Prediction:
    """What a fit predicts for a case: an estimate, or why there is none."""

    fit: Fit
    case: Case
    estimate: Estimate | None
    reason: str = ""


def predictions(fitting: Fitting, cases: Iterable[Case]) -> list[Prediction]:
    """What each fit predicts for each case, in the order of ``grouped``."""
    fits = [fit for group in grouped(fitting.fits).values() for fit in group]
    return [_prediction(fit, case) for case in cases for fit in fits]


def _prediction(fit: Fit, case: Case) -> Prediction:
    try:
        return Prediction(fit, case, fit.law.estimate(*case))
    except UsageError as error:
        return Prediction(fit, case, None, str(error))
