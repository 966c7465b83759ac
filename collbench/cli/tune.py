"""The command ``tune``."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collbench.cli import forms, params
from collbench.cli.groups import Group
from collbench.errors import UsageError, pick
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.sizes import DEFAULT_SIZES, format_size, parse_sizes
from collbench.plan.sweep import Sweep, contest_of
from collbench.printer.forms import Form, printed
from collbench.tables import Page, counted, notes_of, numbers, table_of, words

if TYPE_CHECKING:
    from collbench.tune.finals import Field

FEWEST_LAUNCHES = 3  # an interval over two launches is too wide to decide anything


@dataclass(frozen=True)
class ContenderOptions:
    """The options that select what to tune; None for those not given."""

    backend: str
    collective: str
    sizes: tuple[int, ...] | None
    dtype: tuple[str, ...] | None
    op: tuple[str, ...]
    hidden: tuple[int, ...] | None


@dataclass(frozen=True)
class FinalsOptions:
    """The options for selecting and timing the finalists."""

    finalists: int
    launches: int
    max_seconds: float


@dataclass(frozen=True)
class TuneTargetOptions:
    """The options for the results files and the table."""

    results: Path | None
    output: Path | None


contenders = Group("contenders", ContenderOptions, [
    click.option("--backend", default="nvrar", show_default=True,
                 type=params.Parsed("backend", params.backend_spec, params.backend_names),
                 help="Backend to tune."),
    click.option("--collective", default="all_reduce", show_default=True, help="Collective to tune.",
                 type=params.Parsed("collective", partial(pick, "collective", known=COLLECTIVES),
                                    lambda: list(COLLECTIVES))),
    params.sizes,
    params.dtype,
    params.op,
    params.hidden,
])  # fmt: skip
finals = Group("finals", FinalsOptions, [
    click.option("--finalists", default=3, show_default=True, type=click.IntRange(min=1),
                 help="Number of the fastest candidates per size to measure again, with the default."),
    click.option("--launches", default=5, show_default=True, type=click.IntRange(min=FEWEST_LAUNCHES),
                 help="Independent launches of the finalists."),
    click.option("--max-seconds", default=0.2, show_default=True, type=params.POSITIVE,
                 help="Time limit for the samples of one case, in seconds."),
])  # fmt: skip
targets = Group("targets", TuneTargetOptions, [
    click.option("--results", type=click.Path(path_type=Path), metavar="FOLDER/PREFIX", help="Results files: "
                 "PREFIX-1.csv for all candidates, PREFIX-2.csv for the finalists.  "
                 "[default: results/<time>-<machine>-<ranks>r-tune]"),
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Table to update.  "
                 "[default: $COLLBENCH_TUNED, or ~/.config/collbench/tuned.toml]"),
])  # fmt: skip


@click.command(short_help="Find the fastest parameters of a backend for each size.")
@contenders
@params.worlds
@finals
@params.ordering
@targets
@forms.form
@click.option("--dry-run", is_flag=True, help="List the candidates without running them.")
@click.pass_context
def tune(
    context: click.Context, contenders: ContenderOptions, worlds: params.WorldOptions, finals: FinalsOptions,
    ordering: params.OrderingOptions, targets: TuneTargetOptions, form: forms.FormOptions,
    dry_run: bool,
) -> None:  # fmt: skip
    """Find the fastest parameters of a backend for each size.

    Time all candidates once, then the fastest of each size and the default over several launches. Candidates that are
    significantly faster than the default are written to the table from which the backend selects its parameters.
    """
    from collbench.measure import tuning
    from collbench.ranks import launcher, start
    from collbench.results.files import default_path
    from collbench.tune import finals as verdicts
    from collbench.tune.table import user_path

    if started_by := launcher.detect(os.environ):
        raise UsageError(f"tune starts its own ranks for every launch; run it without {started_by.name}, on one host.")
    ranks = start.ranks_to_start(worlds.topology)
    unnamed = default_path(ranks)
    request = tuning.TuneRequest(
        sweep=_sweep_of(contenders, finals, ordering), topology=worlds.topology, ranks=ranks,
        finalists=finals.finalists, launches=finals.launches,
        prefix=targets.results or unnamed.with_name(f"{unnamed.stem}-tune"),
        table=targets.output or user_path(),
    )  # fmt: skip
    field = tuning.field_of(request)
    tuning.check(request)
    if dry_run:
        click.echo(_preview(field, form.chosen))
        return
    tuned = tuning.run(request, field)
    if tuned.cut_short:
        click.echo(tuned.cut_short, err=True)
        context.exit(tuned.code)
    click.echo(printed(verdicts.page(tuned.verdicts), verdicts.plain(tuned.verdicts), form.chosen))
    if tuned.verdicts:
        click.echo(f"\n{counted(len(tuned.verdicts), 'size')} in {request.table}", err=True)
    context.exit(tuned.code)


def _sweep_of(contenders: ContenderOptions, finals: FinalsOptions, ordering: params.OrderingOptions) -> Sweep:
    """The sweep of all candidates: chained calls on hot buffers, out of place, as in LLM decoding. Raises UsageError
    for a form of a backend, since a table is read for the present one."""
    from collbench.backends._specs import split
    from collbench.registry import default_dtypes

    if label := split(contenders.backend).label:
        raise UsageError(f"tune finds parameters for backends as they are; omit @{label}.")
    return Sweep(
        collectives=(contenders.collective,),
        backends=(contenders.backend,),
        sizes=contenders.sizes or parse_sizes(DEFAULT_SIZES),
        dtypes=contenders.dtype or default_dtypes([contenders.backend], [contenders.collective]),
        ops=contenders.op,
        modes=("chain",),
        caches=("hot",),
        in_place=(False,),
        hidden=params.hidden_for([contenders.collective], contenders.hidden),
        max_seconds=finals.max_seconds,
        seed=ordering.seed,
        timeout=ordering.timeout,
    )


def _preview(field: Field, form: Form) -> str:
    """The candidates: a table of their numbers, as JSON their names."""
    hidden = ["hidden"] if any(each.hidden for each in field) else []
    rows = [
        (format_size(each.bytes), *(str(each.hidden) for _ in hidden), each.dtype.name, each.op, str(each.layout),
         str(len(names)), names[0])
        for each, names in field.items()
    ]  # fmt: skip
    columns = [
        *numbers("size", *hidden), *words("dtype", "op"), *numbers("layout", "candidates"), *words("default"),
    ]  # fmt: skip
    total = f"{counted(sum(map(len, field.values())), 'case')} to run once"
    contests = [asdict(contest_of(problem, names)) for problem, names in field.items()]
    return printed(Page((table_of("", columns, rows),), notes_of([total])), contests, form)
