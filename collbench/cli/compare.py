"""The command ``compare``."""

from __future__ import annotations

from pathlib import Path

import click

from collbench.cli import params
from collbench.errors import UsageError


@click.command(short_help="Ratios between two backends or two files.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--backend", "names", shell_complete=params.complete_backend,
              help="With one file: two backends, A,B.  [default: every other against nccl, else mpi]  "
              "With two files: only these.")  # fmt: skip
@params.only
@click.option("--json", "form", flag_value="json", help="JSON instead of a table.")
@click.option("--markdown", "form", flag_value="markdown", help="The table in Markdown.")
def compare(a: Path, b: Path | None, names: str | None, only: tuple[tuple[str, str], ...], form: str | None) -> None:
    """How many times slower A is than B, with a 95 % interval, for every case that both have. A case that was wrong,
    failed or timed out in any launch is shown without a verdict, and why."""
    from collbench.results.records import jobs, load, select
    from collbench.views.comparison import compare_backends, compare_files, names_of
    from collbench.views.ratios import show

    chosen = names_of(names or "")
    one, *other = [select(load(path), only) for path in (a, b) if path]
    found = compare_files(one, other[0], chosen) if other else compare_backends(one, chosen)
    if found.judged or found.unjudged:
        click.echo(show(found, form))
    for words in jobs([*one, *(other[0] if other else [])]):
        click.echo(f"left out: {words}", err=True)
    if not found.judged:
        raise UsageError(f"{a}{f' and {b}' if b else ''}: no case was timed on both sides.")
