"""Whether the site takes the jobs of a submission: by its limits, and beside the user's jobs that wait or run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from collbench.batch.job import Job
from collbench.jobs import limits
from collbench.jobs.limits import Wish
from collbench.jobs.submission import Part, Submission


def check(submission: Submission, parts: Sequence[Part]) -> None:
    """Raise UsageError, with the limit and its source, if the site would refuse the jobs of these parts."""
    for wish in _wishes(submission, parts):
        limits.check(submission.limits, wish)


def crowd(submission: Submission, parts: Sequence[Part]) -> str | None:
    """What is too much if the jobs of these parts join the user's jobs that wait or run, None if the site takes them.
    Asks the batch system only where there is such a limit. Raises SilentError."""
    mine = cache(submission.system.mine)
    found = (limits.crowd(submission.limits, wish, mine) for wish in _wishes(submission, parts))
    return next(filter(None, found), None)


def _wishes(submission: Submission, parts: Sequence[Part]) -> list[Wish]:
    """What the jobs of each node count ask of the site, where every part is a job."""
    jobs = {part.job.nodes: part.job for part in parts}
    return [_wish(job, submission, len(parts)) for job in jobs.values()]


def _wish(job: Job, submission: Submission, jobs: int) -> Wish:
    partition, qos, time = (job.asked.get(name) or submission.usual.get(name) for name in ("partition", "qos", "time"))
    return Wish(partition, qos, time, job.nodes, job.nodes * job.gpus_per_node, jobs)
