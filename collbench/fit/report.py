"""Fits, crossings and predictions as tables and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collbench.errors import UsageError
from collbench.fit.crossings import Crossing, crossings
from collbench.fit.curves import World, curves_of
from collbench.fit.estimate import Estimate
from collbench.fit.fitting import DRAWS, Fit, fit_curve
from collbench.fit.lines import PER_LINE, unknowns
from collbench.plan.rms_norm import rows_words
from collbench.plan.sizes import format_size
from collbench.plan.skew import skew_words
from collbench.results.panels import groups_words
from collbench.results.records import Record
from collbench.tables import Page, Table, notes_of, numbers, show_us, table_of, words

Case = tuple[int, int, int]  # bytes, ranks, nodes
READING = (
    "latency = base + steps * alpha + bytes / bandwidth, by the quickest algorithm of the model, whose steps and bytes",
    "are those of its textbook form. Of two lines the message takes the quicker (or the slower, where it outgrows a",
    f"cache). In brackets: 95 % of {DRAWS} bootstraps over the cases. Off: median error at sizes, and on worlds, that",
    "were held out of the fit, or why none were. ≈: where all worlds take equally many steps, base and alpha cannot be",
    "told apart; they are then split in a ratio that is assumed.",
)
PREDICTED = (
    "Range: 95 %, of the constants and of the errors at what was held out. Modelled: inside the worlds that were",
    "measured; assumed: beyond them, where the scaling is that of the algorithms.",
)


@dataclass(frozen=True)
class Fitting:
    """The fits of one results file, and the curves without one: backend and collective, and why."""

    path: Path
    fits: tuple[Fit, ...]
    unfitted: tuple[tuple[str, str], ...]

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


def page(fittings: Sequence[Fitting], cases: Sequence[Case]) -> Page:
    """Tables of the laws, of crossings and of predictions, and the errors of each file in one line."""
    tables = [table for fitting in fittings for table in _tables(fitting, named=len(fittings) > 1)]
    made = [each for fitting in fittings for each in predictions(fitting, cases)]
    shown = [_predictions(made)] if made else []
    reasons = [f"{what}: not fitted, {why}" for fitting in fittings for what, why in fitting.unfitted]
    notes = notes_of(READING, PREDICTED if shown else (), [f"- {reason}" for reason in reasons])
    return Page((*tables, *shown), notes, "; ".join(map(_errors, fittings)))


def _tables(fitting: Fitting, named: bool) -> list[Table]:
    found = []
    for title, fits in grouped(fitting.fits).items():
        heading = f"{fitting.path.name}: {title}" if named else title
        found.append(_laws(heading, fits))
        crossed = crossings(fits)
        if crossed:
            found.append(_crossings(f"{heading}: crossings", crossed))
    return found


def _errors(fitting: Fitting) -> str:
    parts = [
        f"{100 * float(np.median(errors)):.1f} % {where}"
        for where, errors in (
            ("at held-out sizes", fitting.errors(False)),
            ("on held-out worlds", fitting.errors(True)),
        )
        if errors
    ]
    off = f"off by {' and '.join(parts)} at the median" if parts else "nothing could be held out"
    return f"{fitting.path.name}: {off}"


def _laws(title: str, fits: Sequence[Fit]) -> Table:
    between = any(fit.law.links - {1} for fit in fits)
    inside = any(1 in fit.law.links for fit in fits)
    levels = [*(["in a node"] if inside else []), *(["between nodes"] if between else [])]
    heads = [head for level in levels for head in (f"alpha µs {level}", f"GB/s {level}")]
    columns = (*words("backend", "model", "worlds", "base µs", *heads), *numbers("off, sizes", "off, worlds"))
    return table_of(title, columns, [row for fit in fits for row in _rows(fit, inside, between)])


def _rows(fit: Fit, inside: bool, between: bool) -> list[list[str]]:
    """A row for each line of the law."""
    law = fit.law
    ways = np.array([fit.curve.ways(point) for point in fit.curve.points])
    mark = "" if unknowns(ways, law.shape)[1] else "≈ "
    found = []
    for line in range(law.shape.count):
        start = law.shape.slots(line).start
        cells = [_level(fit, start, 1, mark)] if inside else []
        cells += [_level(fit, start + 2, 3, mark)] if between else []
        first = [fit.curve.backend, _model(fit), _worlds(fit), f"{mark}{_interval(law.interval(0))}"]
        errors = [_percent(fit.size_error) or fit.without_size, _percent(fit.world_error) or fit.without_world]
        found.append([*(first if line == 0 else [""] * 4), *(cell for pair in cells for cell in pair),
                      *(errors if line == 0 else [""] * 2)])  # fmt: skip
    return found


def _level(fit: Fit, place: int, link: int, mark: str) -> tuple[str, str]:
    """Alpha, and bandwidth in GB/s, on one level; - where no world has it."""
    if link not in fit.law.links:
        return "-", "-"
    byte, low, high = fit.law.interval(place + 1)
    width = tuple(1 / (1e3 * value) for value in (byte, high, low))
    return f"{mark}{_interval(fit.law.interval(place))}", _interval(width)


def _interval(values: Sequence[float]) -> str:
    middle, low, high = (f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in values)
    return f"{middle} [{low}, {high}]"


def _model(fit: Fit) -> str:
    lines = {1: "", 2: ", slower of two lines" if fit.law.shape.slower else ", quicker of two lines"}
    return f"{' or '.join(fit.law.family.algorithms)}{lines[fit.law.shape.count]}"


def _worlds(fit: Fit) -> str:
    virtual = {point.world for point in fit.curve.points if point.virtual}
    return ", ".join(f"{_shape(world)}{' virtual' * (world in virtual)}" for world in fit.curve.worlds)


def _shape(world: World) -> str:
    return f"{world[1]}x{world[0] // world[1]}"


def _percent(error: float | None) -> str:
    return "" if error is None else f"{100 * error:.1f} %"


def _crossings(title: str, found: Iterable[Crossing]) -> Table:
    columns = (*words("world", "quicker below", "quicker above"), *numbers("at", "95 %"))
    rows = [(_shape(each.world), each.small, each.large, near(each.size), _ends(each)) for each in found]
    return table_of(title, columns, rows)


def _ends(crossing: Crossing) -> str:
    if crossing.low is None or crossing.high is None:
        return "uncertain"
    return f"{near(crossing.low)} to {near(crossing.high)}"


def near(size: float) -> str:
    """A size to about three digits."""
    unit = next((unit for unit in (1 << 20, 1 << 10) if size >= unit), 1)
    value = f"{size / unit:.3g}"
    return f"{value} {({1 << 20: 'MiB', 1 << 10: 'KiB', 1: 'B'})[unit]}"


@dataclass(frozen=True)
class Prediction:
    """What a fit predicts for a case: an estimate, or why there is none."""

    fit: Fit
    case: Case
    estimate: Estimate | None
    reason: str = ""


def predictions(fitting: Fitting, cases: Iterable[Case]) -> list[Prediction]:
    """What each fit predicts for each case."""
    return [_prediction(fit, case) for case in cases for fit in fitting.fits]


def _prediction(fit: Fit, case: Case) -> Prediction:
    try:
        return Prediction(fit, case, fit.law.estimate(*case))
    except UsageError as error:
        return Prediction(fit, case, None, str(error))


def _predictions(found: Sequence[Prediction]) -> Table:
    columns = (*words("backend", "of"), *numbers("size", "world", "predicted µs", "95 %"), *words("basis"))
    reasons = dict.fromkeys(each.reason for each in found if each.reason)
    return table_of("predictions", columns, map(_predicted, found), [f"- {reason}" for reason in reasons])


def _predicted(each: Prediction) -> list[str]:
    size, ranks, nodes = each.case
    first = [each.fit.curve.backend, group_of(each.fit), format_size(size), _shape((ranks, nodes))]
    if each.estimate is None:
        return [*first, "-", "-", "no links of this kind"]
    found = each.estimate
    return [*first, show_us(found.us), f"{show_us(found.low)} to {show_us(found.high)}", found.basis]


def plain(fittings: Sequence[Fitting], cases: Sequence[Case]) -> dict[str, Any]:
    """Everything as values for JSON; latencies in microseconds, bandwidths in 10**9 bytes per second."""
    return {
        "fits": [_plain_fit(fitting, fit) for fitting in fittings for fit in fitting.fits],
        "crossings": [
            {"file": str(fitting.path), "of": title, "world": _shape(each.world), "quicker_below": each.small,
             "quicker_above": each.large, "bytes": each.size, "low": each.low, "high": each.high}
            for fitting in fittings for title, fits in grouped(fitting.fits).items() for each in crossings(fits)
        ],
        "predictions": [_plain_prediction(each) for fitting in fittings for each in predictions(fitting, cases)],
        "unfitted": [
            {"file": str(fitting.path), "of": what, "reason": why}
            for fitting in fittings for what, why in fitting.unfitted
        ],
    }  # fmt: skip


def _plain_fit(fitting: Fitting, fit: Fit) -> dict[str, Any]:
    law = fit.law
    return {
        "file": str(fitting.path),
        "backend": fit.curve.backend,
        "of": group_of(fit),
        "algorithms": list(law.family.algorithms),
        "lines": str(law.shape),
        "worlds": [_shape(world) for world in fit.curve.worlds],
        "sizes": list(fit.curve.sizes),
        "base_us": _ranged(law.interval(0)),
        "links": [_plain_line(fit, line) for line in range(law.shape.count)],
        "error_held_out_sizes": fit.size_error,
        "error_held_out_worlds": fit.world_error,
        "no_held_out_sizes": fit.without_size,
        "no_held_out_worlds": fit.without_world,
    }


def _plain_line(fit: Fit, line: int) -> dict[str, Mapping[str, Any]]:
    names = {1: "in a node", 3: "between nodes"}
    start = PER_LINE * line
    return {names[place]: _plain_level(fit, start + place) for place in sorted(fit.law.links)}


def _plain_level(fit: Fit, place: int) -> Mapping[str, Any]:
    byte, low, high = fit.law.interval(place + 1)
    return {
        "alpha_us": _ranged(fit.law.interval(place)),
        "gb_s": _ranged(tuple(1e-3 / each for each in (byte, high, low))),
    }


def _ranged(values: Sequence[float]) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), values, strict=True))


def _plain_prediction(each: Prediction) -> dict[str, Any]:
    size, ranks, nodes = each.case
    found = each.estimate
    return {
        "backend": each.fit.curve.backend,
        "of": group_of(each.fit),
        "bytes": size,
        "ranks": ranks,
        "nodes": nodes,
        "predicted_us": found.us if found else None,
        "low_us": found.low if found else None,
        "high_us": found.high if found else None,
        "basis": found.basis if found else None,
        "source": found.source if found else None,
        "reason": each.reason,
    }
