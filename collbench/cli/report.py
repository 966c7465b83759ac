"""The command ``report``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from collbench.cli import params


@click.command(short_help="Write results as one page for a browser.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RESULT...")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("report.html"),
              show_default=True, help="The page.")  # fmt: skip
@click.option("--title", default="", help="Title of the page.  [default: the names of the files]")
@click.option("--baseline", default="", help="Reference backend of ratios and speed-ups, or best(BACKEND).  [default: "
              "nccl, or mpi without it]", shell_complete=params.complete_backend)  # fmt: skip
@params.only
def report(
    results: tuple[Path, ...], output: Path, title: str, baseline: str, only: tuple[tuple[str, str], ...]
) -> None:
    """Write one HTML page about results that needs nothing else, and no network: who is faster where, charts, tables,
    verdicts, machine, versions and commands, and the rows themselves.

    RESULT is a results file of sweep, check or llm replay, or a folder of them. Two files that share cases are
    compared, BEFORE and AFTER. Of more files that share cases, the history is shown, and each case as the last one has
    it. Needs the extra `report`: pip install 'collbench[report]'.
    """
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.report.report import Request, write_report

    request = Request(results, only, output, title, baseline)
    write_report(request, lambda words: click.echo(f"collbench: {words}", err=True))
    click.echo(output)
