"""The command ``fit``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collbench.cli import forms, params
from collbench.errors import UsageError, pick
from collbench.plan.layout import MOST_RANKS, parse_layout
from collbench.plan.sizes import parse_sizes
from collbench.printer.forms import printed

if TYPE_CHECKING:
    from collbench.fit.files import Fitting
    from collbench.results.records import Record


def _cases(text: str) -> tuple[tuple[int, int, int], ...]:
    """Bytes, ranks and nodes of each case in ``SIZE@NxG,...``; a size may be a range."""
    found: list[tuple[int, int, int]] = []
    for part in text.split(","):
        sizes, sign, world = part.partition("@")
        if not sign:
            raise UsageError(f"{part!r} names no world; write SIZE@NODESxRANKS, for example 256K@2x8.")
        nodes, each = parse_layout(world)
        found += [(size, nodes * each, nodes) for size in parse_sizes(sizes)]
    if any(ranks < 2 for _, ranks, _ in found):
        raise UsageError(f"one rank exchanges nothing; give worlds of two or more in {text!r}.")
    if any(ranks > MOST_RANKS for _, ranks, _ in found):
        raise UsageError(f"{text!r} has a world of more than {MOST_RANKS} ranks; give a smaller one.")
    return tuple(dict.fromkeys(found))


@click.command(short_help="Fit models of latency to results, and predict.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--backend", "names", help="Backends, A,B.  [default: all]", shell_complete=params.complete_backend)
@params.only
@click.option("--predict", "cases", type=params.Parsed("SIZE@NxG,...", _cases), default=(),
              help="Also predict these sizes on N nodes with G ranks each, as in 256K@2x8,4K:1M@16x4.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Draw charts into this folder, as PNG and SVG.")  # fmt: skip
@forms.form
def fit(
    results: tuple[Path, ...],
    names: str | None,
    only: tuple[tuple[str, str], ...],
    cases: tuple[tuple[int, int, int], ...],
    output: Path | None,
    form: forms.FormOptions,
) -> None:
    """Fit a latency of every step and a bandwidth to each backend in RESULTS, inside nodes and between them.

    A model is the quickest of the algorithms that a backend may run. Its error is shown where it was not fitted: at
    each size, and on each number of ranks and nodes, that is held out in turn. What lies beyond the worlds that were
    measured is marked as assumed.
    """
    from collbench.fit.files import fit_file
    from collbench.fit.report import page
    from collbench.fit.values import plain
    from collbench.results.footing import level
    from collbench.results.records import load, without_samples
    from collbench.results.selection import select
    from collbench.tables import notes_of
    from collbench.views import footing

    files = without_samples(dict.fromkeys(results))
    fittings = [fit_file(path, _chosen(select(level(load(path)), only), names or "", path)) for path in files]
    if output:
        _draw(fittings, output)
    rows = [row for each in fittings for row in each.records]
    found = page(fittings, cases)
    shown = replace(found, notes=(*found.notes, *notes_of(footing.remark(rows))))
    click.echo(printed(shown, plain(fittings, cases) if form.as_json else None, form.chosen))
    forms.publish(f"collbench fit: {', '.join(map(str, files))}", shown, os.environ)


def _chosen(records: Sequence[Record], names: str, path: Path) -> list[Record]:
    """The rows of the backends in ``names``, of all for "". Raises UsageError for one that the file does not have."""
    known = {record.backend for record in records if not record.is_job}
    chosen = {pick(f"backend in {path}:", name.strip(), known) for name in names.split(",") if name.strip()}
    return [record for record in records if record.backend in (chosen or known)]


def _draw(fittings: Sequence[Fitting], folder: Path) -> None:
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.fit.charts import draw_all

    if len({fitting.path.stem for fitting in fittings}) < len(fittings):
        raise UsageError("two results files have the same name, and so would their charts; rename one of them.")
    for fitting in fittings:
        for path in draw_all(fitting, folder, lambda words: click.echo(words, err=True)):
            click.echo(path, err=True)
