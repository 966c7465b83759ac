"""Fits, crossings and predictions as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from collbench.fit.crossings import Crossing, crossings
from collbench.fit.files import Case, Fitting, Prediction, group_of, grouped, predictions, shape_of
from collbench.fit.fitting import DRAWS, Fit
from collbench.fit.law import BETWEEN, INSIDE
from collbench.fit.lines import BASE, unknowns
from collbench.plan.sizes import format_size
from collbench.tables import Page, Table, notes_of, numbers, show_us, table_of, words

READING = (
    "latency = base + steps * alpha + bytes / bandwidth, by the quickest algorithm of the model, whose steps and bytes",
    "are those of its textbook form. Of two lines the message takes the quicker (or the slower, where it outgrows a",
    f"cache). In brackets: 95 % of {DRAWS} bootstraps over the cases. Off: median error at sizes, and on worlds, that",
    "were held out of the fit, or why none were. ≈: where all worlds take equally many steps, base and alpha cannot be",
    "separated; they are then split in a ratio that is assumed.",
)
LINKS = {INSIDE: "in a node", BETWEEN: "between nodes"}
PREDICTED = (
    "Range: 95 %, of the constants and of the errors at what was held out. Modelled: inside the worlds that were",
    "measured; assumed: beyond them, where the scaling is that of the algorithms.",
)


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
    columns = (*words("backend", "model", "worlds", "base µs", "link", "alpha µs", "GB/s"),
               *numbers("off, sizes", "off, worlds"))  # fmt: skip
    return table_of(title, columns, [row for fit in fits for row in _rows(fit)])


def _rows(fit: Fit) -> list[list[str]]:
    """A row for each line of the law on each link that a world has."""
    law = fit.law
    ways = np.array([fit.curve.ways(point) for point in fit.curve.points])
    mark = "" if unknowns(ways, law.shape)[1] else "≈ "
    first = [fit.curve.backend, _model(fit), _worlds(fit), f"{mark}{_interval(law.interval(BASE))}"]
    errors = [_percent(fit.size_error) or fit.without_size, _percent(fit.world_error) or fit.without_world]
    links = [link for link in LINKS if link in law.links]
    starts = [law.shape.slots(line).start for line in range(law.shape.count)]
    found = [[LINKS[link], *_level(fit, start + link - INSIDE, mark)] for start in starts for link in links]
    blank = [""] * len(first)
    return [[*(blank if row else first), *cells, *(["", ""] if row else errors)] for row, cells in enumerate(found)]


def _level(fit: Fit, place: int, mark: str) -> tuple[str, str]:
    """Alpha, and bandwidth in GB/s, on one level."""
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
    return ", ".join(f"{shape_of(world)}{' virtual' * (world in virtual)}" for world in fit.curve.worlds)


def _percent(error: float | None) -> str:
    return "" if error is None else f"{100 * error:.1f} %"


def _crossings(title: str, found: Iterable[Crossing]) -> Table:
    columns = (*words("world", "quicker below", "quicker above"), *numbers("at", "95 %"))
    rows = [(shape_of(each.world), each.small, each.large, near(each.size), _ends(each)) for each in found]
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


def _predictions(found: Sequence[Prediction]) -> Table:
    columns = (*words("backend", "of"), *numbers("size", "world", "predicted µs", "95 %"), *words("basis"))
    reasons = dict.fromkeys(each.reason for each in found if each.reason)
    return table_of("predictions", columns, map(_predicted, found), [f"- {reason}" for reason in reasons])


def _predicted(each: Prediction) -> list[str]:
    size, ranks, nodes = each.case
    first = [each.fit.curve.backend, group_of(each.fit), format_size(size), shape_of((ranks, nodes))]
    if each.estimate is None:
        return [*first, "-", "-", "no links of this kind"]
    found = each.estimate
    return [*first, show_us(found.us), f"{show_us(found.low)} to {show_us(found.high)}", found.basis]
