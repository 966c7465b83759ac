"""The command ``submit``: a profile and a sweep to job scripts, submitted, followed and gathered."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import click

from collbench.cli.params import Given, sizes_of
from collbench.cli.submit import SubmitGiven
from collbench.errors import INTERRUPTED, Exit, UsageError, exit_of
from collbench.kernels import files as kernel_files
from collbench.measure.sweep import topology_of
from collbench.plan.worlds import layouts_for
from collbench.results.files import samples_path, sidecar_path
from collbench.results.records import Record
from collbench.slurm import client, profiles, scripts
from collbench.slurm.follow import Look, Pace, Screen, look
from collbench.slurm.gather import gather
from collbench.slurm.profiles import Profile, Setting
from collbench.slurm.scripts import Job
from collbench.slurm.submission import Part, Submission, reopen
from collbench.views import summary

Refusals = dict[str, client.RefusedError]
LATE_LOOKS = 5  # at files of jobs that are complete: what a node wrote last may take a minute to be seen elsewhere


def _check_sweep(sweep: Given, jobs: Sequence[Job]) -> None:
    """Refuse here what the sweep would refuse in its job, after hours in a queue."""
    if sweep.as_json or sweep.force or sweep.contests:
        raise UsageError(
            "--json, --force and --contests are not for jobs; compare, plot and another -o do what they do."
        )
    sizes_of(sweep)
    for job in jobs:
        layouts_for(
            topology_of(sweep), [f"node {node}" for node in range(job.nodes) for _ in range(job.ranks_per_node)]
        )


def run(given: SubmitGiven, sweep: Given) -> int:
    """Run the command; ``sweep`` is what ``given.words`` mean. Returns the exit code."""
    if given.profile is None:
        return _go_on(given)
    if given.resume:
        raise UsageError("--resume goes on with what was submitted; leave --profile away.")
    submission, texts = _written(given, _with_own_kernels(profiles.find(given.profile)))
    _check_sweep(sweep, submission.jobs)
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


def _with_own_kernels(profile: Profile) -> Profile:
    """The jobs find the user's own kernels, wherever they run."""
    _, *own = kernel_files.folders()
    if not own:
        return profile
    paths = os.pathsep.join(str(folder.resolve()) for folder in own)
    setting = Setting(kernel_files.VARIABLE, paths, "kernels of your own", "set when this was submitted", True)
    return dataclasses.replace(profile, settings=(*profile.settings, setting))


def _make_folder(submission: Submission, texts: dict[Path, str]) -> None:
    path = submission.path
    taken = [each for each in (submission.folder, path, samples_path(path), sidecar_path(path)) if each.exists()]
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
    if not given.output or not (given.wait or given.resume):
        raise UsageError(
            "--profile says where: submit --profile NAME --nodes 2,4 ...; to go on: submit --resume -o FILE."
        )
    if given.reshapes() or (given.asked() and not given.resume):
        raise UsageError(
            "what was submitted keeps its shape; with --resume, other --time, --account, --qos, --partition."
        )
    submission = reopen(given.output)
    if not given.resume:
        return _follow_known(submission)
    jobs = tuple(dataclasses.replace(job, asked={**job.asked, **given.asked()}) for job in submission.jobs)
    submission = dataclasses.replace(submission, jobs=jobs)
    todo = _to_submit_again(submission)
    if given.dry_run:
        for job, parts in _by_job(todo):
            click.echo(f"sbatch {shlex.join([*_options(job, parts), submission.script(job).name])}")
        return Exit.FINE
    if client.here() and not todo:
        click.echo("Nothing to submit again: every part is complete, or its job waits or runs.", err=True)
    return _submit_and_follow(submission, todo, given)


def _to_submit_again(submission: Submission) -> list[Part]:
    """Parts that are not complete, and whose job is over."""
    try:
        live = {each.part.name for each in look(submission, {}) if each.seen.live}
    except client.SilentError as silence:
        raise UsageError(f"Slurm does not say what runs ({silence}); try again later.") from None
    return [part for part in submission.parts() if part.name not in live and not part.complete()]


def _follow_known(submission: Submission) -> int:
    if not any(map(submission.last_id, submission.parts())):
        raise UsageError(
            f"no job for {submission.path} is known yet; one that was submitted by hand is when it has begun."
        )
    return _follow(submission, {})


def _submit_and_follow(submission: Submission, todo: Sequence[Part], given: SubmitGiven) -> int:
    if not client.here():
        names = " ".join(submission.script(job).name for job in submission.jobs)
        click.echo(
            f"No Slurm here: there is no sbatch. The scripts are in {submission.folder}; on the cluster, in that "
            f"folder: for job in {names}; do sbatch $job; done; and when the first has begun: "
            f"collbench submit --wait -o {submission.path}",
            err=True,
        )
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
        try:
            number = client.submit(submission.script(job), *_options(job, parts))
        except client.RefusedError as refusal:
            refusals |= {part.name: refusal for part in parts}
            continue
        for part in parts:
            submission = submission.with_id(part, f"{number}_{part.index}" if job.allocations > 1 else number)
        submission.save()  # at once: a job that is not written down is lost
    return submission, refusals


def _options(job: Job, parts: Sequence[Part]) -> list[str]:
    """What sbatch is told beside the script: what the user asked for may be newer, and an array may lack some parts."""
    asked = [f"--{name}={value}" for name, value in job.asked.items()]
    some = len(parts) < job.allocations
    return [*asked, f"--array={scripts.array_of(job, [str(part.index) for part in parts])}"] if some else asked


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
    click.echo(summary.results(records))
    click.echo(f"\n{len(records)} rows in {submission.path}, jobs in {sidecar_path(submission.path)}", err=True)
    _tell_what_is_missing(submission, records)
    return exit_of({record.status for record in records})


def _to_the_end(submission: Submission, refusals: Refusals) -> tuple[Submission, list[Look]]:
    screen, pace = Screen(), Pace()
    looks: list[Look] = []
    late = LATE_LOOKS
    while True:
        waiting = [part for part in submission.parts() if part.name in refusals and refusals[part.name].full]
        try:
            looks = look(submission, {name: str(refusal) for name, refusal in refusals.items()}, looks)
            screen.show(looks)
            if not waiting and not any(each.seen.live for each in looks):
                if late == 0 or all(each.part.complete() for each in looks if each.seen.state == "COMPLETED"):
                    return submission, looks
                late -= 1
        except client.SilentError as silence:
            screen.say(f"Slurm does not answer ({silence}); trying again.")
        pace.wait(looks)
        if waiting:
            submission, again = _submit(submission, waiting)
            refusals = {name: refusal for name, refusal in refusals.items() if not refusal.full} | again


def _tell_what_is_missing(submission: Submission, records: Sequence[Record]) -> None:
    if any(record.is_job for record in records):
        words = f"collbench submit --resume --wait -o {shlex.quote(str(submission.path))}"
        click.echo(f"Not all jobs came to their end; {words} runs what is missing.", err=True)
