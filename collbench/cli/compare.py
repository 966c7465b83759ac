"""The command ``compare``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collbench.cli import forms, params
from collbench.cli.against import against, complete_site
from collbench.errors import UsageError
from collbench.printer.forms import printed
from collbench.results.published import names as sites

if TYPE_CHECKING:
    from collbench.results.records import Record


@click.command(short_help="Compare two backends, or two files.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--backend", "names", shell_complete=params.complete_backend,
              help="With one file: the two backends to compare, A,B; best(A) is the fastest of A, A-... and A@....  "
              "[default: all against nccl, or mpi without it]  With two files: the backends to compare.  "
              "[default: all]")  # fmt: skip
@click.option("--against", "site", metavar="NAME|FILE", shell_complete=complete_site,
              help="Compare one file with the figures that a site publishes of its machine; in FILE.toml, your own.  "
              f"[known: {', '.join(sites())}]")  # fmt: skip
@params.only
@forms.form
@click.pass_context
def compare(
    context: click.Context, a: Path, b: Path | None, names: str | None, site: str | None,
    only: tuple[tuple[str, str], ...], form: forms.FormOptions,
) -> None:  # fmt: skip
    """Print how many times slower A is than B, with an interval over launches, for every case that both have.

    A verdict needs three launches, and holds for launches like these; two files may differ more than their launches do.
    Cases that were wrong, failed or timed out in any launch are listed with the reason and without a verdict; of two
    files, also the cases that only one of them has.

    With --against, each size is as published, faster, slower, or looks like sockets, and the exit code is that of
    check: 0 nothing is slower · 3 wrong results · 4 slower, or like sockets · 5 hang · 6 a size has no latency.

    \b
    collbench compare OLD.csv NEW.csv
    collbench sweep --backend nccl --dtype float32 --mode throughput --sizes 8:128M -o RUN.csv
    collbench compare RUN.csv --against cscs-alps
    """
    if site is not None:
        if b:
            raise UsageError(f"--against compares one file with a site's figures; omit {b}.")
        context.exit(against(a, site, names or "", only, form))
    _print_ratios([path for path in (a, b) if path], names or "", only, form)


def _print_ratios(
    files: Sequence[Path], names: str, only: tuple[tuple[str, str], ...], form: forms.FormOptions
) -> None:
    """Two backends of one file, or two files. Raises UsageError where no case was timed on both sides."""
    from collbench.registry import form_in
    from collbench.results.footing import level_sides
    from collbench.results.records import jobs, load, without_samples
    from collbench.results.selection import select
    from collbench.views import footing
    from collbench.views.comparison import compare_backends, compare_files, names_of
    from collbench.views.multicast import remark
    from collbench.views.ratios import page, plain

    paths = without_samples(files)
    one, *other = level_sides([select(load(path), only) for path in paths])
    everything = [*one, *(other[0] if other else [])]
    known = {record.backend for record in everything}
    chosen = tuple(form_in(name, known) for name in names_of(names))
    found = compare_files(one, other[0], chosen) if other else compare_backends(one, chosen)
    warned = _unlike_machines([one, *other], paths, found.records)
    if found.judged or found.unjudged or found.alone:
        shown = page(found, [*warned, *footing.statement(found.records), *remark(everything)])
        click.echo(printed(shown, plain(found, warned), form.chosen))
        forms.publish(f"collbench compare: {', '.join(map(str, paths))}", shown, os.environ)
    for words in jobs(everything):
        click.echo(f"skipped: {words}", err=True)
    if not found.judged:
        raise UsageError(f"{' and '.join(map(str, paths))}: no case was timed on both sides.{_cure(one, *other)}")


def _unlike_machines(sides: Iterable[Sequence[Record]], paths: Sequence[Path], shown: Iterable[Record]) -> list[str]:
    """A warning where the rows that are shown ran on unlike machines, by the sidecars of the files; else []."""
    from collbench.views.machines import unlike_sides
    from collbench.views.runs import Run, facts_beside

    files = [dict.fromkeys(side, path) for side, path in zip(sides, paths, strict=True)]
    runs = [Run([*each], each, facts_beside(each, lambda words: click.echo(words, err=True))) for each in files]
    return unlike_sides(runs, shown)


def _cure(one: Sequence[Record], other: Sequence[Record] = ()) -> str:
    """What to do where an imported file has none of the names of the other file; "" elsewhere."""
    from collbench.views.comparison import default_baseline
    from collbench.views.footing import has_foreign

    names, others = ({record.backend: None for record in side} for side in (one, other))
    if not (names and others) or names.keys() & others.keys() or not has_foreign([*one, *other]):
        return ""
    name = default_baseline(names if has_foreign(other) else others)
    return f" Two files are compared by backend: import the log under a name that both have, as in {name}=LOG."
