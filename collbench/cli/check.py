"""The command ``check``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from collbench.cli import forms, params
from collbench.cli.check_options import (
    CheckTargetOptions,
    RuleOptions,
    SamplingOptions,
    SideOptions,
    fixed_words,
    rule,
    sampling,
    sides,
    target,
)
from collbench.cli.ranks import ranks_for
from collbench.cli.sweep import KindOptions, SizeOptions, kinds, sizes
from collbench.errors import UsageError
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.sweep import Sweep
from collbench.plan.variants import Variant
from collbench.printer.forms import printed
from collbench.tables import counted

OF_FILES = (
    "files", "baseline", "candidate", "baseline_files", "candidate_files", "margin", "junit", "charts", "as_json",
    "markdown", "latex", "quiet",
)  # fmt: skip

if TYPE_CHECKING:
    from collbench.check.gate import Gate
    from collbench.check.judgement import Judgement
    from collbench.measure.request import SweepRequest
    from collbench.plan.worlds import Topology


@click.command(short_help="Judge a change: faster, slower, or the same.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[CHECK.csv | BASE.csv CANDIDATE.csv]")
@sides
@click.option("--collective", default="all_reduce", show_default=True, help="Collectives to time.",
              type=params.names("collective", lambda: list(COLLECTIVES)))  # fmt: skip
@sizes
@kinds
@params.worlds
@rule
@sampling
@params.ordering
@target
@forms.form
@click.option("--quiet", is_flag=True, help="Do not report progress.")
@click.pass_context
def check(
    context: click.Context, files: tuple[Path, ...], sides: SideOptions, collective: tuple[str, ...],
    sizes: SizeOptions, kinds: KindOptions, worlds: params.WorldOptions, rule: RuleOptions, sampling: SamplingOptions,
    ordering: params.OrderingOptions, target: CheckTargetOptions,
    form: forms.FormOptions, quiet: bool,
) -> None:  # fmt: skip
    """Judge a candidate against a baseline, at every size: faster, slower, the same within the margin, or unclear.

    Both run in the same fresh launches, in random turns, until every size is decided, or 20 launches are over. A false
    "slower", "faster" or "same" occurs in at most 5 % of checks each, over all sizes and looks. With files, earlier
    runs are judged: a smaller change than runs differ by cannot be found then.

    Exit codes: 0 nothing is slower · 2 refused · 3 wrong results · 4 slower · 5 hang · 6 unclear or missing.

    \b
    collbench check --baseline nvrar --candidate my-kernel
    collbench check --candidate nvrar --baseline-ref main
    collbench check BASE.csv CANDIDATE.csv
    collbench check CHECK.csv                     a check that was measured before, again
    """
    from collbench.ranks.variables import check_variables

    path = target.checked()
    if files or sides.given_files:
        found, judged_files = _measured_before(context, files, sides, rule)
        _conclude(found, judged_files, form, target)
        context.exit(found.code)
    gate = gate_of(sides, rule)
    sweep = _sweep(gate, sides.variant, collective, sizes, kinds, sampling, ordering)
    request = _request(gate, sweep, worlds.topology, path, target)
    ranks = ranks_for(request.topology)
    check_variables(sweep.variants, ranks.launcher)
    ended = ranks.run(request, quiet)
    rows = ended.records or ()
    if ended.why:  # part of a launch is no look: no verdict is shown that the whole one might not give
        click.echo(f"{ended.why} Finished rows are in {ended.path}; continue with --resume -o {ended.path}.", err=True)
        context.exit(ended.code)
    if judged := gate.judge(rows):
        click.echo(f"\n{counted(len(rows), 'row')} in {ended.path}", err=True)
        _conclude(judged, [ended.path], form, target)
    context.exit(ended.code)


def _measured_before(
    context: click.Context, files: tuple[Path, ...], sides: SideOptions, rule: RuleOptions
) -> tuple[Judgement, list[Path]]:
    """The judgement of earlier rows, and their files. Raises UsageError."""
    from collbench.measure.judged import check_in

    if len(files) == 1 and not sides.any:
        return check_in(files[0]), [*files]
    _refuse_options_of_launches(context)
    base, candidate = sides.files(files)
    return _of_files(base, candidate, sides, rule), [*base, *candidate]


def _refuse_options_of_launches(context: click.Context) -> None:
    """Raise UsageError for an option that a check of files would ignore."""
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if given and option.name not in OF_FILES:
            raise UsageError(f"{option.opts[-1]} is for checks that measure, not for files; omit it.")


def gate_of(sides: SideOptions, rule: RuleOptions) -> Gate:
    """The sides and the rule. Raises UsageError."""
    from collbench.check.gate import Gate
    from collbench.check.rule import MARGIN, rule_of

    base, candidate = sides.names
    return Gate(base, candidate, rule_of(rule.margin or MARGIN, rule.max_launches, rule.fail_fast))


def _sweep(
    gate: Gate, variants: tuple[Variant, ...], collective: tuple[str, ...], sizes: SizeOptions, kinds: KindOptions,
    sampling: SamplingOptions, ordering: params.OrderingOptions,
) -> Sweep:  # fmt: skip
    """The cases of both sides."""
    from collbench.registry import default_dtypes

    both = (gate.base, gate.candidate)
    mine = tuple(variant for variant in variants if variant.name in both)
    backends = tuple(name for name in both if name not in {variant.name for variant in mine})
    return Sweep(
        collectives=collective,
        backends=backends,
        sizes=sizes.chosen,
        dtypes=kinds.dtype or default_dtypes([*backends, *(variant.backend for variant in mine)], collective),
        ops=kinds.op,
        modes=kinds.mode,
        caches=kinds.cache,
        in_place=(kinds.in_place,),
        hidden=params.hidden_for(collective, kinds.hidden),
        warmup=sampling.warmup,
        samples=sampling.samples,
        max_seconds=sampling.max_seconds,
        seed=ordering.seed,
        timeout=ordering.timeout,
        verify=sampling.verify,
        variants=mine,
    )


def _request(
    gate: Gate, sweep: Sweep, topology: Topology, path: Path | None, target: CheckTargetOptions
) -> SweepRequest:  # fmt: skip
    from collbench.measure.request import SweepRequest
    from collbench.results.files import default_path

    argv = fixed_words(sys.argv[1:], gate.base, gate.candidate)
    unnamed = default_path(None)
    path = path or unnamed.with_name(f"{unnamed.stem}-check.csv")
    return SweepRequest(sweep, gate, topology, path, target.resume, False, target.force, argv)


def _of_files(base: list[Path], candidate: list[Path], sides: SideOptions, rule: RuleOptions) -> Judgement:
    """The judgement of earlier runs. Raises UsageError."""
    from collbench.measure import two_runs
    from collbench.measure.judged import judge_between

    found = judge_between(base, candidate, sides.backends, rule.margin)
    if not sides.given_files and two_runs.are_swapped(base[0], candidate[0]):
        raise UsageError(
            f"{candidate[0]} was measured before {base[0]}; give BASE.csv CANDIDATE.csv, or name the sides with "
            "--baseline-files and --candidate-files."
        )
    for words in two_runs.other_libraries(base, candidate):
        click.echo(f"note: {words}", err=True)
    return found


def _conclude(
    found: Judgement, files: Sequence[Path], form: forms.FormOptions, target: CheckTargetOptions
) -> None:  # fmt: skip
    """Print the judgement of the rows in ``files``, and write its report and charts."""
    from collbench.check import report
    from collbench.check.junit import junit
    from collbench.results.writing import replace_text

    page = report.page(found)
    click.echo(printed(page, report.plain(found), form.chosen))
    forms.publish(page.result, page, os.environ)
    if target.junit:
        replace_text(target.junit, junit(found))
    if target.charts:
        _draw(found, files, target.charts)


def _draw(found: Judgement, files: Sequence[Path], folder: Path) -> None:
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which need not exist here; no chart is shown, so none is used
    from collbench.check.charts import draw_all

    for path in draw_all(found, files, folder, lambda words: click.echo(words, err=True)):
        click.echo(path, err=True)
