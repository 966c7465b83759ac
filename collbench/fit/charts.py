"""Charts of the fits of a results file: one for each collective, type and mode on each world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from collbench.fit.curves import World
from collbench.fit.files import Fitting, grouped
from collbench.fit.fitting import DRAWS, Fit
from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.views import page
from collbench.views.curves import Curve
from collbench.views.fits import fit_chart
from collbench.views.naming import stem_of, suffixes, words_of
from collbench.views.origins import origin_of
from collbench.views.page import Frame
from collbench.views.palette import styles
from collbench.views.runs import known_facts
from collbench.views.titles import title_of

_PER_DOUBLING = 8
FITTED = "Model: fitted to all that is shown"
RANGE = f"Range: 95 %, of {DRAWS} bootstraps and of the errors at held-out sizes."
BELOW = "Below: each size in turn is left out of the fit and predicted; above 1 it took longer than predicted."


def draw_all(fitting: Fitting, folder: Path, warn: Callable[[str], None]) -> list[Path]:
    """Draw all charts into ``folder``, as PNG and SVG files named after the results file; returns their paths.

    Raises UsageError if they cannot be written, and OutputError on a full disk.
    """
    known = known_facts(fitting.path, warn)
    parts = [(fits, world) for fits in grouped(fitting.fits).values() for world in _worlds(fits)]
    names = suffixes([words_of(_rows(*part)[0]) for part in parts])
    paths: list[Path] = []
    with page.look():
        for name, (fits, world) in zip(names, parts, strict=True):
            figure = _chart([fit for fit in fits if world in fit.curve.worlds], world, known)
            paths += page.save(figure, folder / f"{stem_of([fitting.path])}-fit{name}")
    return paths


def _worlds(fits: Sequence[Fit]) -> list[World]:
    return sorted({world for fit in fits for world in fit.curve.worlds})


def _rows(fits: Sequence[Fit], world: World) -> list[Record]:
    """The rows of the cases of a world."""
    return [row for fit in fits for case in fit.curve.cases if case.record.ranks == world[0]
            and case.record.nodes == world[1] for row in case.timed]  # fmt: skip


def _chart(fits: Sequence[Fit], world: World, known: Mapping[int, Facts]) -> Figure:
    rows = _rows(fits, world)
    facts = {row: known[row.launch] for row in rows if row.launch in known}
    errors = [curve for fit in fits if (curve := _errors(fit, world)).x]
    others = any(len(fit.curve.worlds) > 1 for fit in fits)
    reading = f"{FITTED}{', and to other worlds of the file' * others}. {RANGE}"
    foot = "\n".join([origin_of(rows, facts), reading, *([BELOW] if errors else [])])
    looks = styles(fit.curve.backend for fit in fits)
    frame = Frame(f"Fit of {title_of(rows, facts)}", foot, looks)
    return fit_chart(frame, [_law(fit, world) for fit in fits], [_measured(fit, world) for fit in fits], errors)


def _measured(fit: Fit, world: World) -> Curve:
    points = [point for point in fit.curve.points if point.world == world]
    return Curve(fit.curve.backend, [point.size for point in points], [point.us for point in points])


def _law(fit: Fit, world: World) -> Curve:
    sizes = [point.size for point in fit.curve.points if point.world == world]
    steps = 1 + round(_PER_DOUBLING * np.log2(max(sizes) / min(sizes)))
    x = [round(size) for size in np.geomspace(min(sizes), max(sizes), steps)]
    virtual = any(point.virtual for point in fit.curve.points if point.world == world)
    y, low, high = fit.law.bands(x, *world, virtual=virtual)
    return Curve(fit.curve.backend, x, y.tolist(), low.tolist(), high.tolist())


def _errors(fit: Fit, world: World) -> Curve:
    """Measured over predicted latency at the sizes of a world that were held out."""
    held = [(point.size, ratio) for point, ratio in fit.held_out if point.world == world]
    return Curve(fit.curve.backend, [size for size, _ in held], [ratio for _, ratio in held])
