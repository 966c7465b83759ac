"""The command ``submit``; it passes all other options on to ``sweep``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from collbench.batch.job import Shape, Work
from collbench.cli import forms, params, submit_check
from collbench.cli.config import Configured, config_option, origin_of, resolved_for, set_option
from collbench.cli.groups import Group
from collbench.cli.skew import modes_for
from collbench.cli.sweep import cases, kinds, sizes, sweep
from collbench.cli.workloads import demands_of, topology_of, with_whole_paths
from collbench.errors import INTERRUPTED, Exit, UsageError, exit_of
from collbench.plan.variants import check_names
from collbench.printer.forms import Form
from collbench.printer.plain import plain_page

if TYPE_CHECKING:
    from collbench.jobs.submission import Part, Submission
    from collbench.jobs.submit import Refusals

MOST_ALLOCATIONS = 1000  # elements of an array that Slurm takes by default
_TIME = re.compile(r"\d+(-\d+(:\d\d){0,2})?|\d+:\d\d(:\d\d)?")


@dataclass(frozen=True)
class DirectiveOptions:
    """Directives of a job, by name; None for those not given."""

    time: str | None
    account: str | None
    qos: str | None
    partition: str | None

    @property
    def given(self) -> dict[str, str]:
        """The directives that were given."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class StepOptions:
    """The options that select the steps of a submission."""

    output: Path | None
    dry_run: bool
    wait: bool
    resume: bool
    cancel: bool
    check: bool


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise UsageError(f"{text!r} is not a time limit of Slurm; write minutes, HH:MM:SS or DAYS-HH.")
    return text


def _complete_profile(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from collbench.jobs.profiles import names

    return [CompletionItem(name) for name in names() if name.startswith(incomplete)]


shape = Group("shape", Shape, [
    click.option("--nodes", default=(), type=params.COUNTS, help="Node counts; each is a job."),
    click.option("--gpus-per-node", type=click.IntRange(min=0), help="GPUs per node.  [default: the profile's]"),
    click.option("--ranks-per-node", type=click.IntRange(min=1), help="Ranks per node.  [default: one per GPU]"),
    click.option("--launches", default=1, show_default=True, type=click.IntRange(min=1),
                 help="Independent launches in each allocation."),
    click.option("--allocations", default=1, show_default=True, type=click.IntRange(1, MOST_ALLOCATIONS),
                 help="Allocations of each node count, as a job array or jobs; each may get other nodes, elsewhere on "
                 "the network."),
    click.option("--at-once", is_flag=True, help="Let jobs run concurrently, although they may disturb each other."),
])  # fmt: skip
directives = Group("directives", DirectiveOptions, [
    click.option("--time", type=params.Parsed("time", _time), help="Time limit of each job.  [default: the profile's]"),
    click.option("--account", help="Account to charge."),
    click.option("--qos", help="Quality of service to request (Slurm)."),
    click.option("--partition", "--queue", "partition", help="Partition of Slurm, or queue of PBS, to use."),
])  # fmt: skip
steps = Group("steps", StepOptions, [
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
                 help="Results file; scripts, logs and parts are next to it in NAME.jobs.  "
                 "[default: results/<time>-<profile>.csv]"),
    click.option("--dry-run", is_flag=True, help="Print the scripts without writing or submitting anything."),
    click.option("--wait", is_flag=True, help="Follow the jobs until they end, then gather and print their "
                 "rows. With -o and no --profile: follow an earlier submission."),
    click.option("--resume", is_flag=True, help="With -o: resubmit jobs that failed, were cancelled or timed out."),
    click.option("--cancel", is_flag=True, help="With -o: cancel the jobs that are pending or running."),
    click.option("--check", is_flag=True, help="Run `collbench check`, to which all other options then go."),
])  # fmt: skip


@click.command(
    cls=Configured,
    file_of=sweep,
    short_help="Run a sweep as Slurm or PBS jobs.",
    context_settings={"ignore_unknown_options": True},
)
@click.option("--profile", metavar="NAME|FILE", shell_complete=_complete_profile,
              help="Cluster profile: a name from `collbench list`, or your own TOML file.")  # fmt: skip
@shape
@directives
@steps
@config_option
@set_option
@click.argument("words", metavar="[SWEEP OPTIONS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def submit(
    context: click.Context, profile: str | None, shape: Shape, directives: DirectiveOptions, steps: StepOptions,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    """Write a job script for each node count, submit it, follow the jobs, and gather all rows into one results file.

    All other options are passed to `collbench sweep`, or with --check to `collbench check`. Of a file of sweeps,
    `nodes`, `launches` and `output` are those of the submission.

    \b
    collbench submit --profile perlmutter --account m1234 --nodes 2,4,8 --sizes 4K:64M --launches 3 --wait
    collbench submit --wait -o results/RUN.csv       follow the jobs again, and gather
    collbench submit --resume -o results/RUN.csv     resubmit unfinished jobs
    collbench submit --cancel -o results/RUN.csv     cancel jobs that wait or run
    """
    if origin_of(context) and (profile is None or steps.check):
        raise UsageError("--config is for a new submission of a sweep; omit it.")
    if profile is None:
        context.exit(_continue(shape, directives.given, steps, words))
    work = submit_check.work_of(context, words, shape) if steps.check else _work_of(context, words)
    if steps.resume or steps.cancel:
        raise UsageError("--resume and --cancel continue what was submitted; omit --profile.")
    context.exit(_begin(profile, shape, directives.given, steps, work))


def _work_of(context: click.Context, words: Sequence[str]) -> Work:
    """The work of a job that sweeps. Raises UsageError for options that the sweep, or a job, would refuse."""
    from collbench.ranks.variables import check_variables

    words, origin = resolved_for(context, sweep, words), origin_of(context)
    asked = sweep.make_context(context.command_path, list(words))
    values = asked.params
    modes_for(asked, values["skew"], kinds.of(values).mode)
    if forms.form.of(values).chosen is not Form.PLAIN or values["force"] or cases.of(values).contests:
        raise UsageError(
            "--json, --markdown, --latex, --force and --contests do not apply to jobs; omit them, and use another -o "
            "instead of --force."
        )
    _ = sizes.of(values).chosen, params.hidden_for(values["collective"], kinds.of(values).hidden)
    chosen = cases.of(values)
    check_names(chosen.variant, chosen.backend or ())
    check_variables(chosen.variant, "a job's launcher")
    worlds = params.worlds.of(values)
    topology = worlds.pairs if values["pairs"] else worlds.topology
    if values["specs"]:
        topology = topology_of(demands_of(asked, values["specs"]))
    recorded = ("--configured-by", str(origin)) if origin else ()
    return Work(topology, (*with_whole_paths(params.canonical_words(words)), *recorded), 1 + len(chosen.variant))


def _begin(profile: str, shape: Shape, asked: Mapping[str, str], steps: StepOptions, work: Work) -> int:
    """Create, submit and, with --wait, follow a new submission; return the exit code."""
    from collbench.jobs.profiles import find
    from collbench.jobs.submit import create, planned

    submission, texts = planned(profile, shape, asked, work, steps.output)
    for point in find(profile).unsettled:
        click.echo(f"collbench: open in profile {submission.profile}: {point}", err=True)
    if steps.dry_run:
        click.echo("\n".join(texts.values()), nl=False)
        return Exit.FINE
    _check_room(submission, submission.parts(), steps.wait)
    create(submission, texts)
    return _submit_and_follow(submission, submission.parts(), steps.wait)


def _continue(shape: Shape, asked: Mapping[str, str], steps: StepOptions, words: Sequence[str]) -> int:
    """Follow an earlier submission, or resubmit its unfinished jobs; return the exit code."""
    from collbench.jobs import room
    from collbench.jobs.submission import reopen
    from collbench.jobs.submit import cancel, check_scripts, unfinished

    if not steps.output or not (steps.wait or steps.resume or steps.cancel):
        raise UsageError(
            "--profile is missing; give submit --profile NAME --nodes 2,4, or continue with submit --resume -o FILE."
        )
    if shape.is_given() or words or (asked and not steps.resume):
        raise UsageError(
            "a submission keeps its options; only --resume takes new ones: --time, --account, --qos, --partition."
        )
    submission = reopen(steps.output)
    if steps.cancel:
        click.echo(
            f"cancelled: {', '.join(cancel(submission)) or 'nothing, since no job is pending or running'}", err=True
        )
        return Exit.FINE
    if not steps.resume:
        return _follow_known(submission)
    check_scripts(submission)
    submission = submission.with_directives(asked)
    todo = unfinished(submission)
    room.check(submission, todo)
    if steps.dry_run:
        _show(submission, todo)
        return Exit.FINE
    if submission.system.is_available() and not todo:
        click.echo("Nothing to resubmit: every part is complete, or its job is pending or running.", err=True)
    _check_room(submission, todo, steps.wait)
    return _submit_and_follow(submission, todo, steps.wait)


def _check_room(submission: Submission, todo: Sequence[Part], wait: bool) -> None:
    """Raise UsageError if the site takes no more jobs of this user; with --wait only say so, since then what is refused
    is submitted later."""
    from collbench.batch.system import SilentError
    from collbench.jobs.room import crowd

    system = submission.system
    if not system.is_available():
        return
    try:
        words = crowd(submission, todo)
    except SilentError as silence:
        words, wait = f"{system.NAME} does not report how many jobs of yours wait or run ({silence})", True
    if words and not wait:
        raise UsageError(f"{words}; submit when others have ended, or use another --partition or --qos.")
    if words:
        click.echo(f"collbench: {words}.", err=True)


def _show(submission: Submission, todo: Sequence[Part]) -> None:
    """Print the commands that would submit these parts."""
    from collbench.jobs.submit import before, groups, options_of

    after = before(submission)
    for job, parts in groups(submission, todo):
        words = [*options_of(submission, job, parts, after), submission.script(job).name]
        click.echo(f"{submission.system.SUBMIT} {shlex.join(words)}")
        after = ["PREVIOUS"]


def _follow_known(submission: Submission) -> int:
    if not any(map(submission.last_id, submission.parts())):
        raise UsageError(
            f"no job for {submission.path} is known yet; a job submitted by hand is known once it has started."
        )
    return _follow(submission, {})


def _submit_and_follow(submission: Submission, todo: Sequence[Part], wait: bool) -> int:
    from collbench.jobs.submit import submit as submit_parts

    system = submission.system
    if not system.is_available():
        click.echo(
            f"{system.SUBMIT} was not found here. The scripts are in {submission.folder}; on the cluster, run in that "
            f"folder: {system.by_hand(submission.jobs)}; once the first job has started, run: "
            f"collbench submit --wait -o {submission.path}",
            err=True,
        )
        return Exit.FAILED
    submission, refusals = submit_parts(submission, todo)
    if wait:
        return _follow(submission, refusals)
    for part in submission.parts():
        state = f"not submitted: {refusals[part.name]}" if part.name in refusals else f"job {submission.last_id(part)}"
        click.echo(f"{part.name}: {state}", err=True)
    if refusals:
        click.echo(f"Resubmit with: collbench submit --resume -o {submission.path}", err=True)
    click.echo(f"Follow and gather with: collbench submit --wait -o {submission.path}", err=True)
    return Exit.FAILED if refusals else Exit.FINE


def _follow(submission: Submission, refusals: Refusals) -> int:
    """Follow all jobs until they end, and print their rows; return the exit code."""
    from collbench.jobs.submit import follow
    from collbench.results.files import sidecar_path
    from collbench.views import links, summary

    try:
        submission, records = follow(submission, refusals)
    except KeyboardInterrupt:
        click.echo(f"\nThe jobs continue; to follow them: collbench submit --wait -o {submission.path}", err=True)
        return INTERRUPTED
    click.echo(err=True)
    is_check = any(job.check for job in submission.jobs)
    code = submit_check.report(submission) if is_check else exit_of({record.status for record in records})
    if not is_check:
        click.echo(plain_page(summary.page(records, links.findings(record for record in records if record.pair))))
    rows = f"{len(records)} row{'s' * (len(records) != 1)}"
    click.echo(f"\n{rows} in {submission.path}, jobs in {sidecar_path(submission.path)}", err=True)
    if any(record.is_job for record in records):
        command = f"collbench submit --resume --wait -o {shlex.quote(str(submission.path))}"
        click.echo(f"Some jobs did not finish; resubmit them with: {command}", err=True)
    return code
