"""The command ``plot``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from collbench.cli import params


@click.command(short_help="Draw charts from results.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("plots"),
              show_default=True, help="Folder for the charts.")  # fmt: skip
@click.option("--baseline", help="Reference backend of the speed-ups.  [default: nccl, or mpi without it]",
              shell_complete=params.complete_backend)  # fmt: skip
@params.only
def plot(results: tuple[Path, ...], output: Path, baseline: str | None, only: tuple[tuple[str, str], ...]) -> None:
    """Draw latency with speed-up, bus bandwidth, scaling over ranks, a map of the best backends, and the matrix of all
    pairs of hosts, as PNG and SVG.

    Each chart is named after the results files of its rows. Samples files beside their results file are ignored.
    """
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.results.records import load_all
    from collbench.results.selection import select
    from collbench.views.figures import draw_all

    loaded = load_all(results)
    for path in draw_all(select(loaded, only), output, loaded, baseline):
        click.echo(path)
