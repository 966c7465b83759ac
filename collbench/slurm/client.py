"""The calls of Slurm: submit a script, and ask what became of jobs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ASK_SECONDS = 60.0
LIVE = frozenset({
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED",
    "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT", "RESV_DEL_HOLD",
})  # fmt: skip
_RETRYING = "retrying"  # what sbatch says before it sleeps and tries again
_FULL = (_RETRYING, "MaxSubmitJob", "GrpSubmitJob")  # reasons that pass, unlike others of "job submit limit, ..."
# Of the job that we may be in ourselves, its numbers would count as options of the new one; these of the user's would
# override what the script relies on.
_KEPT = ("SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS")
_DROPPED = ("SBATCH_JOB_NAME", "SBATCH_ARRAY_INX", "SBATCH_DEPENDENCY")
_ID = re.compile(r"(\d+)(;\S+)?")


class RefusedError(RuntimeError):
    """Slurm did not take a job, in its own words. ``full``: there are too many jobs; when some have ended, it may."""

    def __init__(self, words: str, full: bool) -> None:
        super().__init__(words)
        self.full = full


class SilentError(RuntimeError):
    """Slurm did not answer; its words, or why not."""


@dataclass(frozen=True)
class Seen:
    """A job as Slurm tells it: state, time it has run, nodes it has, and why it waits."""

    state: str
    elapsed: str = ""
    nodes: str = ""
    why: str = ""

    @property
    def live(self) -> bool:
        """Whether there is more to come."""
        return self.state in LIVE


def here() -> bool:
    """Whether there is a Slurm to submit to."""
    return shutil.which("sbatch") is not None


def _environment() -> dict[str, str]:
    """What Slurm's commands may know; one cluster for all of them."""
    clusters = {"SLURM_CLUSTERS": os.environ["SBATCH_CLUSTERS"]} if "SBATCH_CLUSTERS" in os.environ else {}
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith("SLURM_")}
    return {name: value for name, value in {**clusters, **kept}.items() if name not in _DROPPED}


def submit(script: Path, *options: str) -> str:
    """Submit a script, to run in its folder; the job's id. Raises RefusedError."""
    command = ["sbatch", "--parsable", *options, script.name]
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=script.parent, env=_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line.strip())
            if _RETRYING in line:  # it would sleep two minutes in all: better to be told
                process.terminate()
                break
        out = process.stdout.read()
    if process.returncode:
        raise RefusedError(_words(said), any(map(_is_full, said)))
    numbers = [found[1] for line in out.splitlines() if (found := _ID.fullmatch(line.strip()))]
    if not numbers:  # sites print banners, but the id is among them
        raise RefusedError(f"sbatch told no job id: {' '.join(out.split())}", full=False)
    return numbers[-1]


def _is_full(words: str) -> bool:
    return any(sign in words for sign in _FULL)


def _words(lines: Iterable[str]) -> str:
    return "; ".join(line.removeprefix("sbatch: ").removeprefix("error: ") for line in lines if line)


def _ask(*command: str) -> list[list[str]]:
    """Rows of cells that a command prints. Raises SilentError where it fails."""
    try:
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, check=True, timeout=ASK_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise SilentError(error.stderr.strip()) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SilentError(str(error)) from None
    return [line.split("|") for line in done.stdout.splitlines() if "|" in line]


def _queue(numbers: str) -> list[list[str]]:
    """Jobs that wait, run, or ended within the last minutes."""
    try:
        return _ask("squeue", "-h", "-r", "-t", "all", "-j", numbers, "-o", "%i|%T|%M|%N|%r")
    except SilentError as error:
        if "Invalid job id" in str(error):  # all of them ended long ago
            return []
        raise


def _books(numbers: str) -> list[list[str]]:
    """Jobs that ended, where this Slurm keeps account of them."""
    with suppress(SilentError):
        return _ask("sacct", "-n", "-P", "-X", "-j", numbers, "-o", "JobID,State,Elapsed,NodeList")
    return []


def look(jobs: Sequence[str]) -> dict[str, Seen]:
    """What Slurm knows of these jobs, by id (an array's tasks are ``ID_INDEX``). Jobs that it forgot are left out.

    Raises SilentError where it does not answer.
    """
    if not jobs:
        return {}
    numbers = ",".join(dict.fromkeys(job.split("_")[0] for job in jobs))
    found = {
        cells[0]: Seen(cells[1], cells[2], cells[3], "|".join(cells[4:]).removeprefix("None"))
        for cells in _queue(numbers)
    }
    if any(job not in found for job in jobs):
        for cells in _books(numbers):
            found.setdefault(cells[0], Seen(cells[1].split(" ")[0], *cells[2:4]))  # "CANCELLED by 1000"
    return {job: found[job] for job in jobs if job in found}
