"""A client for Slurm's commands: submit a script with sbatch, query jobs with squeue and sacct."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

QUERY_SECONDS = 60.0  # limit of one squeue or sacct
LIVE = frozenset({
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED",
    "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT", "RESV_DEL_HOLD",
})  # fmt: skip
_RETRYING = "retrying"  # what sbatch prints before it sleeps and retries
_FULL = (_RETRYING, "MaxSubmitJob", "GrpSubmitJob")  # temporary, unlike other limits on submission
# Inside a job, sbatch takes SLURM_* variables as options of the new job, so only these are passed on. The variables in
# _DROPPED are the user's own and would override what the script relies on.
_KEPT = ("SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS")
_DROPPED = ("SBATCH_JOB_NAME", "SBATCH_ARRAY_INX", "SBATCH_DEPENDENCY")
_ID = re.compile(r"(\d+)(;\S+)?")


class RefusedError(RuntimeError):
    """Slurm refused a job; the message is Slurm's. ``full``: a limit on the number of jobs, worth a retry later."""

    def __init__(self, words: str, full: bool) -> None:
        super().__init__(words)
        self.full = full


class SilentError(RuntimeError):
    """A query to Slurm failed or timed out; the message is Slurm's or the system's."""


@dataclass(frozen=True)
class Seen:
    """A job as Slurm reports it: state, elapsed time, node list, and the reason why it is pending."""

    state: str
    elapsed: str = ""
    nodes: str = ""
    why: str = ""

    @property
    def live(self) -> bool:
        """Whether the job is pending, running or about to be requeued."""
        return self.state in LIVE


def is_available() -> bool:
    """Whether sbatch is installed."""
    return shutil.which("sbatch") is not None


def _environment() -> dict[str, str]:
    """The environment of Slurm's commands; SLURM_CLUSTERS directs all of them to the cluster that sbatch uses."""
    clusters = {"SLURM_CLUSTERS": os.environ["SBATCH_CLUSTERS"]} if "SBATCH_CLUSTERS" in os.environ else {}
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith("SLURM_")}
    return {name: value for name, value in {**clusters, **kept}.items() if name not in _DROPPED}


def submit(script: Path, *options: str) -> str:
    """Submit a script, to run in its folder, and return the job id. Raises RefusedError."""
    command = ["sbatch", "--parsable", *options, script.name]
    messages: list[str] = []
    with subprocess.Popen(
        command,
        cwd=script.parent,
        env=_environment(),
        encoding="utf-8",
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            messages.append(line.strip())
            if _RETRYING in line:  # sbatch would block for two minutes
                process.terminate()
                break
        out = process.stdout.read()
    if process.returncode:
        raise RefusedError(_message(messages), any(map(_is_full, messages)))
    numbers = [found[1] for line in out.splitlines() if (found := _ID.fullmatch(line.strip()))]
    if not numbers:  # the id may stand among the banners of a site
        raise RefusedError(f"sbatch printed no job id: {' '.join(out.split())}", full=False)
    return numbers[-1]


def _is_full(message: str) -> bool:
    return any(sign in message for sign in _FULL)


def _message(lines: Iterable[str]) -> str:
    return "; ".join(line.removeprefix("sbatch: ").removeprefix("error: ") for line in lines if line)


def _query(*command: str) -> list[list[str]]:
    """The rows that a command prints, split at "|". Raises SilentError if the command fails or times out."""
    try:
        done = subprocess.run(
            command,
            env=_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            timeout=QUERY_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise SilentError(error.stderr.strip()) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SilentError(str(error)) from None
    return [line.split("|") for line in done.stdout.splitlines() if "|" in line]


def _queue(numbers: str) -> list[list[str]]:
    """Rows of squeue for jobs that are pending, running, or ended within the last minutes."""
    try:
        return _query("squeue", "-h", "-r", "-t", "all", "-j", numbers, "-o", "%i|%T|%M|%N|%r")
    except SilentError as error:
        if "Invalid job id" in str(error):  # all of them ended long ago
            return []
        raise


def _accounting(numbers: str) -> list[list[str]]:
    """Rows of sacct for jobs that ended; [] where Slurm keeps no accounting."""
    with suppress(SilentError):
        return _query("sacct", "-n", "-P", "-X", "-j", numbers, "-o", "JobID,State,Elapsed,NodeList")
    return []


def look(jobs: Sequence[str]) -> dict[str, Seen]:
    """The states of these jobs, by id (array tasks are ``ID_INDEX``), without jobs that Slurm has purged.

    Raises SilentError if squeue fails.
    """
    if not jobs:
        return {}
    numbers = ",".join(dict.fromkeys(job.split("_")[0] for job in jobs))
    found = {
        cells[0]: Seen(cells[1], cells[2], cells[3], "|".join(cells[4:]).removeprefix("None"))
        for cells in _queue(numbers)
    }
    if any(job not in found for job in jobs):
        for cells in _accounting(numbers):
            found.setdefault(cells[0], Seen(cells[1].split(" ")[0], *cells[2:4]))  # "CANCELLED by 1000"
    return {job: found[job] for job in jobs if job in found}
