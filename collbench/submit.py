"""The command ``submit``: a profile and a sweep to job scripts, submitted, followed and gathered."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import click

from collbench import profiles, report, scripts, slurm
from collbench.errors import INTERRUPTED, Exit, UsageError, exit_of
from collbench.follow import Look, Pace, Screen, look
from collbench.gather import gather
from collbench.options import Given, sizes_of
from collbench.profiles import Profile
from collbench.records import Record
from collbench.result_file import sidecar_path
from collbench.scripts import Job
from collbench.submission import Part, Submission, reopen
from collbench.submit_options import SubmitGiven
from collbench.sweep import topology_of

Refusals = dict[str, slurm.RefusedError]


def check_sweep(given: Given) -> None:
    """Refuse here what the sweep would refuse in its job, after hours in a queue."""
    sizes_of(given)
    topology_of(given)
    if given.as_json or given.contests:
        raise UsageError(
            "--json and --contests are not for jobs; `collbench plot` and `compare` read the results file."
        )


def run(given: SubmitGiven) -> int:
    """Run the command; returns the exit code."""
    if given.profile is None:
        return _go_on(given)
    if given.resume:
        raise UsageError("--resume goes on with what was submitted; leave --profile away.")
    submission, texts = _written(given, profiles.find(given.profile))
    if given.dry_run:
        click.echo("\n".join(texts.values()), nl=False)
        return Exit.FINE
    _make_folder(submission, texts)
    return _submit_and_follow(submission, submission.parts(), given)


def _written(given: SubmitGiven, profile: Profile) -> tuple[Submission, dict[Path, str]]:
    """The submission that the options ask for, and its scripts by their paths."""
    if not given.nodes:
        raise UsageError("--nodes says on how many nodes, for example --nodes 2,4,8.")
    gpus = profile.gpus_per_node if given.gpus_per_node is None else given.gpus_per_node
    ranks = given.ranks_per_node or gpus or profile.ranks_per_node
    if not ranks:
        raise UsageError(
            f"{profile.name} says nothing of GPUs; give --gpus-per-node, or --ranks-per-node without them."
        )
    path = given.output or Path("results") / f"{time.strftime('%Y%m%dT%H%M%S')}-{profile.name}.csv"
    if path.suffix != ".csv":
        raise UsageError(f"{path} does not end in .csv; its samples, sidecar and jobs are named after it.")
    jobs = tuple(
        Job(f"collbench-{path.stem}", nodes, ranks, gpus, given.launches, given.allocations, given.at_once,
            given.words, given.asked())
        for nodes in given.nodes
    )  # fmt: skip
    submission = Submission(path, profile.name, jobs)
    return submission, {submission.script(job): scripts.script(job, profile) for job in jobs}


def _make_folder(submission: Submission, texts: dict[Path, str]) -> None:
    taken = [each for each in (submission.folder, submission.path) if each.exists()]
    if taken:
        raise UsageError(f"{taken[0]} exists; give another -o, or --resume -o {submission.path} to go on with it.")
    try:
        submission.folder.mkdir(parents=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
    except OSError as error:
        raise UsageError(f"{submission.folder} cannot be written: {error.strerror}; give another -o.") from None
    submission.save()


def _go_on(given: SubmitGiven) -> int:
    """Without a profile: follow what was submitted, or submit again what did not come to its end."""
    if not given.output or not (given.wait or given.resume) or given.words or given.nodes:
        raise UsageError(
            "--profile says where: submit --profile NAME --nodes 2,4 ...; to go on: submit --resume -o FILE."
        )
    submission = reopen(given.output)
    if not given.resume:
        return _follow(submission, {})
    asked = given.asked()
    jobs = tuple(dataclasses.replace(job, asked={**job.asked, **asked}) for job in submission.jobs)
    submission = dataclasses.replace(submission, jobs=jobs)
    over = {each.part.name for each in look(submission, {}) if not each.seen.live} if slurm.here() else set()
    todo = [part for part in submission.parts() if part.name in over and not part.complete()]
    if slurm.here() and not todo:
        click.echo("Nothing to submit again: every part is complete, or its job waits or runs.", err=True)
    return _submit_and_follow(submission, todo, given)


def _submit_and_follow(submission: Submission, todo: Sequence[Part], given: SubmitGiven) -> int:
    if not slurm.here():
        where, first = submission.folder, submission.script(submission.jobs[0]).name
        click.echo(f"No Slurm here: there is no sbatch. The scripts are in {where}; on the cluster, in that folder: "
                   f"sbatch {first}, and then: collbench submit --wait -o {submission.path}", err=True)  # fmt: skip
        return Exit.FAILED
    submission, refusals = _submit(submission, todo)
    if given.wait:
        return _follow(submission, refusals)
    for part in submission.parts():
        state = f"not submitted: {refusals[part.name]}" if part.name in refusals else f"job {submission.last_id(part)}"
        click.echo(f"{part.name}: {state}", err=True)
    if refusals:
        click.echo(f"Submit what is missing with: collbench submit --resume -o {submission.path}", err=True)
    click.echo(f"Follow and gather with: collbench submit --wait -o {submission.path}", err=True)
    return Exit.FAILED if refusals else Exit.FINE


def _submit(submission: Submission, todo: Sequence[Part]) -> tuple[Submission, Refusals]:
    """Submit the scripts of these parts; the submission with their ids, and what Slurm did not take."""
    refusals: Refusals = {}
    for job, parts in _by_job(todo):
        options = [f"--{name}={value}" for name, value in job.asked.items()]
        if len(parts) < job.allocations:
            options.append(f"--array={','.join(str(part.index) for part in parts)}")
        try:
            number = slurm.submit(submission.script(job), *options)
        except slurm.RefusedError as refusal:
            refusals |= {part.name: refusal for part in parts}
            continue
        for part in parts:
            submission = submission.with_id(part, f"{number}_{part.index}" if job.allocations > 1 else number)
        submission.save()  # at once: a job that is not written down is lost
    return submission, refusals


def _by_job(parts: Sequence[Part]) -> Iterator[tuple[Job, list[Part]]]:
    for job, group in groupby(parts, key=lambda part: part.job):
        yield job, list(group)


def _follow(submission: Submission, refusals: Refusals) -> int:
    """Follow all jobs to their ends, gather, and tell the rows; what a full queue refused is tried again."""
    try:
        submission, looks = _to_the_end(submission, refusals)
    except KeyboardInterrupt:
        click.echo(f"\nThe jobs go on; collbench submit --wait -o {submission.path} follows them again.", err=True)
        return INTERRUPTED
    records = gather(submission, {each.part.name: each.seen for each in looks})
    click.echo(err=True)
    click.echo(report.results(records))
    click.echo(f"\n{len(records)} rows in {submission.path}, jobs in {sidecar_path(submission.path)}", err=True)
    _tell_what_is_missing(submission, records)
    return exit_of({record.status for record in records})


def _to_the_end(submission: Submission, refusals: Refusals) -> tuple[Submission, list[Look]]:
    screen, pace = Screen(), Pace()
    looks: list[Look] = []
    while True:
        waiting = [part for part in submission.parts() if part.name in refusals and refusals[part.name].full]
        try:
            looks = look(submission, {name: str(refusal) for name, refusal in refusals.items()}, looks)
            screen.show(looks)
            if not waiting and not any(each.seen.live for each in looks):
                return submission, looks
        except slurm.SilentError as silence:
            screen.say(f"Slurm does not answer ({silence}); trying again.")
        pace.wait(looks)
        if waiting:
            submission, again = _submit(submission, waiting)
            refusals = {name: refusal for name, refusal in refusals.items() if not refusal.full} | again


def _tell_what_is_missing(submission: Submission, records: Sequence[Record]) -> None:
    if any(record.is_job for record in records):
        words = f"collbench submit --resume --wait -o {shlex.quote(str(submission.path))}"
        click.echo(f"Not all jobs came to their end; {words} runs what is missing.", err=True)
