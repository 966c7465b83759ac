"""The command ``sweep``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from collbench.cli import forms, params
from collbench.cli import pairs as for_pairs
from collbench.cli.config import Configured, config_option, origin_of, origin_option, resolved, set_option
from collbench.cli.groups import Group
from collbench.cli.pairs import pairs_option
from collbench.cli.ranks import Ranks, ranks_for
from collbench.cli.skew import modes_for, skew_option
from collbench.cli.workloads import demands_of, llm_option, topology_of, with_demands
from collbench.errors import INTERRUPTED, TERMINATED, UsageError
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.problem import CACHES, MODES
from collbench.plan.sizes import DEFAULT_SIZES, parse_sizes, steps
from collbench.plan.skew import Skew
from collbench.plan.sweep import Contest, Sweep, parse_contests
from collbench.plan.variants import Variant, check_names
from collbench.printer.forms import Form, printed

if TYPE_CHECKING:
    from collbench.llm.spec import Spec
    from collbench.measure.sweep import Ended
    from collbench.plan.demands import Demand
    from collbench.plan.worlds import Topology


@dataclass(frozen=True)
class SizeOptions:
    """The options for message sizes: a list of sizes, or the options of nccl-tests."""

    sizes: tuple[int, ...] | None
    begin: int | None
    end: int | None
    factor: int | None
    step: int | None

    @property
    def chosen(self) -> tuple[int, ...]:
        """Sizes in bytes, from ``--sizes`` or from ``-b -e -f -i`` as in nccl-tests. Raises UsageError for both."""
        flags = (self.begin, self.end, self.factor, self.step)
        if all(flag is None for flag in flags):
            return self.sizes or parse_sizes(DEFAULT_SIZES)
        if self.sizes:
            raise UsageError("--sizes and -b/-e/-f/-i both set the sizes; give one of them.")
        begin = self.begin or 32 << 20
        end = self.end or begin
        if begin > end:
            raise UsageError(f"-b {begin} is above -e {end}; swap them.")
        return steps(begin, end, self.factor) if self.factor else steps(begin, end, add=self.step or 1 << 20)


@dataclass(frozen=True)
class CaseOptions:
    """The options that select backends; None for those not given."""

    backend: tuple[str, ...] | None
    variant: tuple[Variant, ...]
    contests: Path | None


@dataclass(frozen=True)
class KindOptions:
    """The options that select kinds of calls; None for those not given."""

    dtype: tuple[str, ...] | None
    op: tuple[str, ...]
    mode: tuple[str, ...]
    cache: tuple[str, ...]
    in_place: bool
    hidden: tuple[int, ...] | None


@dataclass(frozen=True)
class TimingOptions:
    """The options of the measurement."""

    warmup: int
    samples: int | None
    max_seconds: float
    launches: int
    verify: bool
    phases: bool


@dataclass(frozen=True)
class TargetOptions:
    """The options for the results file."""

    output: Path | None
    force: bool
    resume: bool
    mixed: bool

    def checked(self) -> Path | None:
        """The results file, if given, without symlinks. Raises UsageError for options that contradict each other."""
        if self.mixed and not self.resume:
            raise UsageError("--mixed is for --resume; give both.")
        return params.results_file(self.output, self.force, self.resume)


sizes = Group("sizes", SizeOptions, [
    params.sizes,
    click.option("-b", "--minbytes", "begin", type=params.SIZE, help="First size, as in nccl-tests."),
    click.option("-e", "--maxbytes", "end", type=params.SIZE, help="Last size, as in nccl-tests."),
    click.option("-f", "--stepfactor", "factor", type=click.IntRange(min=2),
                 help="Factor between sizes, as in nccl-tests."),
    click.option("-i", "--stepbytes", "step", type=params.SIZE, help="Bytes between sizes, as in nccl-tests."),
])  # fmt: skip
cases = Group("cases", CaseOptions, [
    click.option("--backend", type=params.BACKENDS, help="Backends to time, with optional parameters "
                 "(NAME:KEY=VALUE:...).  [default: all that can run here, on GPUs if there are any, else on CPUs]"),
    params.variant,
    click.option("--contests", hidden=True, type=click.Path(path_type=Path, dir_okay=False),
                 help="File written by tune with the backends to time on each problem."),
])  # fmt: skip
kinds = Group("kinds", KindOptions, [
    params.dtype,
    params.op,
    click.option("--mode", default="chain", show_default=True, type=params.names("mode", lambda: MODES),
                 help="How to issue calls. isolated: one at a time; chain: in a CUDA graph; throughput: back to back."),
    click.option("--cache", default="hot", show_default=True, type=params.names("cache", lambda: CACHES),
                 help="State of the buffers. hot: in the cache; cold: untouched before each call."),
    click.option("--in-place", is_flag=True, help="Run in place: the output overwrites the input."),
    params.hidden,
])  # fmt: skip
timing = Group("timing", TimingOptions, [
    click.option("--warmup", default=10, show_default=True, type=click.IntRange(min=0),
                 help="Minimum number of calls before timing."),
    click.option("--samples", type=click.IntRange(min=1), help="Samples per case.  [default: until the median is known "
                 "to 1 %]"),
    click.option("--max-seconds", default=1.0, show_default=True, type=params.POSITIVE,
                 help="Time limit for the samples of one case, in seconds."),
    click.option("--launches", default=1, show_default=True, type=click.IntRange(min=1),
                 help="Independent launches, recorded in one file."),
    click.option("--verify/--no-verify", default=True, help="Prove every answer.  [default: verify]"),
    click.option("--phases", is_flag=True, help="Also time the phases of kernels that mark them; recorded in params."),
])  # fmt: skip
target = Group("target", TargetOptions, [
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Results file.  "
                 "[default: results/<time>-<machine>-<ranks>r.csv]"),
    click.option("--force", is_flag=True, help="Replace the results file."),
    click.option("--resume", is_flag=True, help="Continue the results file, and skip finished cases."),
    click.option("--mixed", is_flag=True, help="With --resume: even if GPU, driver, libraries, code or options have "
                 "changed; rows of a launch have one set of them, which the sidecar names."),
])  # fmt: skip


@click.command(cls=Configured, short_help="Time every backend on every case.")
@click.option("--collective", default="all_reduce", show_default=True, help="Collectives to time.",
              type=params.names("collective", lambda: list(COLLECTIVES)))  # fmt: skip
@sizes
@cases
@kinds
@skew_option
@params.worlds
@pairs_option
@llm_option
@timing
@params.ordering
@target
@config_option
@set_option
@origin_option
@forms.form
@click.option("--quiet", is_flag=True, help="Do not report progress.")
@click.option("--dry-run", is_flag=True, help="Print the cases without running them.")
@click.pass_context
def sweep(
    context: click.Context, collective: tuple[str, ...], sizes: SizeOptions, cases: CaseOptions,
    kinds: KindOptions, skew: tuple[Skew, ...], worlds: params.WorldOptions, pairs: bool,
    specs: tuple[Spec, ...] | None, timing: TimingOptions,
    ordering: params.OrderingOptions, target: TargetOptions, form: forms.FormOptions, quiet: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Time every backend on every case; write CSV and sidecar to results/ and print a table.

    Under mpiexec or srun, use the launcher's ranks; otherwise start ranks on this machine.
    """
    from collbench.measure.goal import Fixed
    from collbench.measure.request import SweepRequest
    from collbench.ranks.variables import check_variables
    from collbench.results.files import default_path

    path_given = target.checked()
    topology = worlds.pairs if pairs else worlds.topology
    if pairs:
        collective, sizes, cases = _for_pairs(context, collective, sizes, cases)
    demands: tuple[Demand, ...] = ()
    if specs:
        demands = demands_of(context, specs)
        topology = topology_of(demands)
        collective = tuple(dict.fromkeys(demand.collective for demand in demands))
    kinds = replace(kinds, mode=modes_for(context, skew, kinds.mode))
    wanted = replace(sweep_of(collective, sizes, cases, kinds, timing, ordering), skews=tuple(map(str, skew)))
    if demands:
        wanted = with_demands(wanted, demands)
    ranks = ranks_for(topology)
    check_variables(wanted.variants, ranks.launcher)
    argv = tuple(params.canonical_words(["sweep", *resolved(context)]))
    origin = origin_of(context)
    if dry_run:
        _preview(wanted, topology, ranks, form.chosen, argv if origin else ())
        return
    path = path_given or default_path(ranks.number)
    request = SweepRequest(
        wanted, Fixed(wanted.launches), topology, path, target.resume, target.mixed, target.force, argv, origin
    )
    ended = ranks.run(request, quiet)
    if ended.records is not None:
        _report(ended, form.chosen)
    context.exit(ended.code)


def _preview(wanted: Sweep, topology: Topology, ranks: Ranks, form: Form, argv: Sequence[str]) -> None:
    """Print the cases, once where a launcher started several ranks; on stderr the command without its file, ``argv``,
    if it has one."""
    from collbench.measure import preview
    from collbench.ranks.start import ranks_to_start

    hosts = preview.hosts_of(ranks.started_by, ranks.number or ranks_to_start(topology))
    facts = preview.facts(wanted, topology, hosts)
    if not (ranks.started_by and ranks.started_by.rank):
        if argv:
            click.echo(shlex.join(["collbench", *(word for word in argv if word != "--dry-run")]), err=True)
        click.echo(printed(preview.page(facts, len(hosts)), facts, form))


def _report(ended: Ended, form: Form) -> None:
    """Print the rows on stdout, and in the summary of a step; the path of the file, and how to continue, on stderr."""
    from collbench.views import summary
    from collbench.views.conclusions import conclusions

    records = ended.records or ()
    page = summary.page(records, conclusions(records))
    click.echo(printed(page, summary.plain(records), form))
    forms.publish(f"collbench sweep: {ended.path}", page, os.environ)
    rows = f"{len(records)} row{'s' * (len(records) != 1)}"
    click.echo(f"\n{rows} in {ended.path}", err=True)
    if ended.why and (records or ended.code in (INTERRUPTED, TERMINATED)):
        click.echo(f"{ended.why} Finished rows are in {ended.path}; continue with --resume -o {ended.path}.", err=True)
    elif ended.why:
        click.echo(f"{ended.why} `collbench doctor` checks what may have ended it.", err=True)


def _for_pairs(
    context: click.Context, collective: tuple[str, ...], sizes: SizeOptions, cases: CaseOptions
) -> tuple[tuple[str, ...], SizeOptions, CaseOptions]:
    """The options of a sweep of pairs: those not given have other defaults."""
    if context.get_parameter_source("collective") is ParameterSource.DEFAULT:
        collective = (for_pairs.COLLECTIVE,)
    if all(value is None for value in vars(sizes).values()):
        sizes = replace(sizes, sizes=parse_sizes(for_pairs.SIZES))
    if not (cases.backend or cases.variant or cases.contests):
        cases = replace(cases, backend=for_pairs.backends())
    return collective, sizes, cases


def sweep_of(
    collective: tuple[str, ...],
    sizes: SizeOptions,
    cases: CaseOptions,
    kinds: KindOptions,
    timing: TimingOptions,
    ordering: params.OrderingOptions,
) -> Sweep:
    """The requested sweep. Raises UsageError."""
    from collbench.registry import default_backends, default_dtypes

    contests = _read_contests(cases.contests) if cases.contests else ()
    competing = tuple(dict.fromkeys(name for contest in contests for name in contest.backends))
    backends = competing or cases.backend or default_backends(collective)
    chosen = bool(competing or cases.backend)
    check_names(cases.variant, backends)
    return Sweep(
        collectives=collective,
        backends=backends,
        sizes=sizes.chosen,
        dtypes=kinds.dtype or default_dtypes([*backends, *(each.backend for each in cases.variant)], collective),
        ops=kinds.op,
        modes=kinds.mode,
        caches=kinds.cache,
        in_place=(kinds.in_place,),
        hidden=params.hidden_for(collective, kinds.hidden),
        warmup=timing.warmup,
        samples=timing.samples,
        max_seconds=timing.max_seconds,
        launches=timing.launches,
        seed=ordering.seed,
        timeout=ordering.timeout,
        verify=timing.verify,
        phases=timing.phases,
        contests=contests,
        suited=() if chosen else tuple((name, default_backends([name])) for name in collective),
        variants=cases.variant,
    )


def _read_contests(path: Path) -> tuple[Contest, ...]:
    """Read the backends to time on each problem from a file that ``tune`` wrote. Raises UsageError."""
    try:
        return parse_contests(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not a valid file of contests: {error}; write one with collbench tune.") from None
