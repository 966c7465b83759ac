"""The command ``plot``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from collbench.cli import params

FORMATS = ("png", "svg", "pdf")


@click.command(short_help="Draw charts from results.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("plots"),
              show_default=True, help="Folder for the charts.")  # fmt: skip
@click.option("--baseline", help="Reference backend of the speed-ups, or best(BACKEND).  [default: nccl, or mpi "
              "without it]", shell_complete=params.complete_backend)  # fmt: skip
@click.option("--format", "formats", type=params.names("format", lambda: FORMATS), default="png,svg",
              show_default=True, help="Formats of the files: png, svg, pdf.")  # fmt: skip
@click.option("--width", type=click.Choice(["one", "two"]),
              help="Width in columns of a paper: 3.5 or 7.16 inches, in print of at least 7 pt.  [default: 9 inches, "
              "for a screen]")  # fmt: skip
@click.option("--title", default="", help="Title of every chart; the usual one then stands at its foot.")
@params.only
def plot(
    results: tuple[Path, ...],
    output: Path,
    baseline: str | None,
    formats: tuple[str, ...],
    width: str | None,
    title: str,
    only: tuple[tuple[str, str], ...],
) -> None:
    """Draw latency with speed-up, bus bandwidth, scaling over ranks, a map of the best backends, latency against skew,
    and the matrix of all pairs of hosts.

    Several files that share no case are drawn as one run, those of unlike machines in charts of their own. Two files
    that share cases are drawn as two runs, BEFORE dashed and AFTER solid, with speed-ups of AFTER over BEFORE and
    without a map.

    Each chart is named after the results files of its rows. Samples files beside their results file are ignored.
    """
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.views.chart_set import ChartOptions
    from collbench.views.figures import draw_all
    from collbench.views.page import COLUMNS, SCREEN
    from collbench.views.runs import load_runs

    runs = load_runs(results, only, lambda words: click.echo(words, err=True))
    options = ChartOptions(baseline, title, COLUMNS[width] if width else SCREEN)
    for path in draw_all(runs, output, options, formats):
        click.echo(path)
