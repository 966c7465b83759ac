"""From a profile and a sweep to results: write job scripts, submit them, follow the jobs, gather their rows."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from collbench.batch.job import Job, Shape, Work
from collbench.batch.known import SYSTEMS
from collbench.batch.system import RefusedError, SilentError
from collbench.errors import UsageError
from collbench.host import trust
from collbench.jobs import profiles, room, scripts
from collbench.jobs.follow import Look, Pace, Screen, look
from collbench.jobs.gather import gather
from collbench.jobs.limits import clock
from collbench.jobs.profiles import Profile, Setting
from collbench.jobs.submission import Part, Submission, sequence
from collbench.kernels import files as kernel_files
from collbench.plan.layout import MOST_RANKS
from collbench.plan.worlds import layouts_for
from collbench.results.files import samples_path, sidecar_path
from collbench.results.records import Record
from collbench.results.writing import replace_text, writing

Refusals = Mapping[str, RefusedError]
LATE_LOOKS = 5  # queries after all jobs ended: a shared file system may show the last rows with a delay of a minute


def planned(
    profile_name: str,
    shape: Shape,
    asked: Mapping[str, str],
    work: Work,
    path: Path | None,
) -> tuple[Submission, dict[Path, str]]:
    """A new submission, not yet on disk, and the texts of its scripts by path.

    ``asked``: the user's directives. Raises UsageError for whatever the sweep would refuse, so that no job fails on it
    after hours in the queue.
    """
    profile = _with_own_kernels(profiles.find(profile_name))
    if not shape.nodes:
        raise UsageError("--nodes is missing; give one or more node counts, such as --nodes 2,4,8.")
    gpus = profile.gpus_per_node if shape.gpus_per_node is None else shape.gpus_per_node
    ranks = shape.ranks_per_node or gpus or profile.ranks_per_node
    if not ranks:
        raise UsageError(
            f"profile {profile.name} sets no number of GPUs; give --gpus-per-node, or --ranks-per-node for CPU ranks."
        )
    if max(shape.nodes) * ranks > MOST_RANKS:
        raise UsageError(f"{max(shape.nodes)} nodes of {ranks} ranks are more than {MOST_RANKS} ranks; give fewer.")
    path = path or Path("results") / f"{time.strftime('%Y%m%dT%H%M%S')}-{profile.name}.csv"
    if path.suffix != ".csv":
        raise UsageError(
            f"{path} does not end in .csv; give -o a name that does, after which all other files are named."
        )
    jobs = tuple(
        Job(f"collbench-{path.stem}", nodes, ranks, gpus, shape.launches, shape.allocations, shape.at_once,
            work.words, dict(asked), work.legs, work.check)
        for nodes in shape.nodes
    )  # fmt: skip
    submission = Submission(
        path, profile.name, jobs, table=profile.system, limits=profile.limits, usual=_usual(profile)
    )
    texts = {submission.script(job): scripts.script(job, profile) for job in jobs}
    room.check(submission, submission.parts())
    for job in jobs:
        layouts_for(work.topology, [f"node {node}" for node in range(job.nodes) for _ in range(job.ranks_per_node)])
    return submission, texts


def _usual(profile: Profile) -> dict[str, str]:
    """The profile's values of the options that a user may give, a time as that option takes it."""
    system = SYSTEMS[profile.system]
    found = {option: profile.site[name] for option, name in system.DIRECTIVES.items() if name in profile.site}
    if found.get("time", "").isdecimal():
        found["time"] = clock(int(found["time"]) * system.TIME_UNIT)
    return found


def _with_own_kernels(profile: Profile) -> Profile:
    """The profile, with the user's own kernel folders as absolute paths in its settings."""
    _, *own = kernel_files.folders()
    if not own:
        return profile
    paths = os.pathsep.join(str(folder.resolve()) for folder in own)
    setting = Setting(kernel_files.VARIABLE, paths, "folders of your own kernels", "set at submission", True)
    return dataclasses.replace(profile, settings=(*profile.settings, setting))


def create(submission: Submission, texts: Mapping[Path, str]) -> None:
    """Write a new submission to disk. Raises UsageError if files of that name exist or cannot be written, OutputError
    if the disk is full."""
    path = submission.path
    with writing(submission.folder):
        taken = [each for each in (submission.folder, path, samples_path(path), sidecar_path(path)) if each.exists()]
        if taken:
            raise UsageError(f"{taken[0]} exists; give another -o, or continue it with --resume -o {path}.")
        path.parent.mkdir(parents=True, exist_ok=True)
        submission.folder.mkdir(mode=0o755)  # --resume runs its scripts, so only their owner may write them
    for script, text in texts.items():
        replace_text(script, text, mode=0o700)
    submission.save()


def check_scripts(submission: Submission) -> None:
    """Raise UsageError if another user could have written the scripts of an earlier submission, or their options."""
    again = f"submit again with another -o than {submission.path}"
    try:
        trust.check(submission.folder, submission.folder.stat())
        for path in (submission.note, *map(submission.script, submission.jobs)):
            trust.check_file(path, path.lstat())
    except trust.UntrustedError as error:
        raise UsageError(f"{error}; {error.cure}, or {again}.") from None
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be submitted again: {error.strerror}; {again}.") from None


def unfinished(submission: Submission) -> list[Part]:
    """Incomplete parts without a pending or running job. Raises UsageError if the system does not answer."""
    try:
        live = {each.part.name for each in look(submission, {}) if each.seen.live}
    except SilentError as silence:
        name = submission.system.NAME
        raise UsageError(f"{name} does not report which jobs are running ({silence}); try again later.") from None
    return [part for part in submission.parts() if part.name not in live and not part.complete()]


def submit(submission: Submission, todo: Sequence[Part]) -> tuple[Submission, Refusals]:
    """Submit the scripts of these parts; the submission with the new job ids, and the refusals by part."""
    system = submission.system
    refusals: dict[str, RefusedError] = {}
    for job, parts in groups(submission, todo):
        try:
            options = options_of(submission, job, parts, before(submission))
            number = system.submit(submission.script(job), *options)
        except (RefusedError, SilentError) as refusal:
            refusals |= {part.name: _refused(refusal) for part in parts}
            continue
        for part in parts:
            task = "" if system.CHAINS or job.allocations == 1 else f"_{part.index}"
            submission = submission.with_id(part, f"{number}{task}")
        submission.save()  # at once: an unrecorded job would be lost if we are killed
    return submission, refusals


def _refused(error: RefusedError | SilentError) -> RefusedError:
    """The refusal of a job; a silent system may answer later."""
    return error if isinstance(error, RefusedError) else RefusedError(str(error), full=True)


def before(submission: Submission) -> list[str]:
    """The id of the job behind which the next one of a chain begins; [] if there is none, or nobody here to ask. Raises
    SilentError."""
    system = submission.system
    return _live_ids(submission)[:1] if system.CHAINS and system.is_available() else []


def _live_ids(submission: Submission) -> list[str]:
    """The ids of its jobs that are pending or running, newest first. Raises SilentError."""
    ids = {number for part in submission.parts() if (number := submission.last_id(part))}
    newest_first = sorted(ids, key=sequence, reverse=True)
    return [number for number, seen in submission.system.look(newest_first).items() if seen.live]


def cancel(submission: Submission) -> list[str]:
    """Cancel its jobs that are pending or running, and return their ids. Raises UsageError if the system does not
    answer.

    The newest goes first, or the end of one would let the next of a chain begin.
    """
    try:
        live = _live_ids(submission)
        if live:
            submission.system.cancel(live)
    except SilentError as silence:
        raise UsageError(f"{submission.system.NAME} does not cancel the jobs ({silence}); try again later.") from None
    return live


def options_of(submission: Submission, job: Job, parts: Sequence[Part], after: Sequence[str]) -> list[str]:
    """The options that submit these parts of a job."""
    return submission.system.options(job, [part.index for part in parts], after)


def groups(submission: Submission, parts: Sequence[Part]) -> Iterator[tuple[Job, list[Part]]]:
    """The parts that are submitted together: those of a job, or each alone where jobs form a chain."""
    for job, group in by_job(parts):
        yield from [(job, [part]) for part in group] if submission.system.CHAINS else [(job, group)]


def by_job(parts: Sequence[Part]) -> Iterator[tuple[Job, list[Part]]]:
    """The parts grouped by job."""
    for job, group in groupby(parts, key=lambda part: part.job):
        yield job, list(group)


def follow(submission: Submission, refusals: Refusals) -> tuple[Submission, list[Record]]:
    """Report on all jobs on stderr until they end, resubmitting those that a full queue refused; gather their rows."""
    submission, looks = _until_finished(submission, refusals)
    return submission, gather(submission, {each.part.name: each.seen for each in looks})


def _until_finished(submission: Submission, refusals: Refusals) -> tuple[Submission, list[Look]]:
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
        except SilentError as silence:
            screen.say(f"{submission.system.NAME} does not answer ({silence}); retrying.")
        pace.wait(looks)
        if waiting:
            submission, again = submit(submission, waiting)
            refusals = {**{name: refusal for name, refusal in refusals.items() if not refusal.full}, **again}
