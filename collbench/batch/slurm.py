"""Slurm: directives for sbatch, and a client for sbatch, squeue, sacct and scancel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from collbench.batch.job import Job, checked, with_numbers
from collbench.batch.system import LIVE, RefusedError, Seen, SilentError, ask

NAME, SUBMIT = "Slurm", "sbatch"
UNSEEN = Seen("ENDED")  # Slurm purges jobs some minutes after their end, also those that never began
CHAINS = False  # the allocations of a job are an array, and the jobs of one name wait for each other
DIRECTIVES: Mapping[str, str] = {name: name for name in ("time", "account", "qos", "partition")}
TIME_UNIT = 60
_RETRYING = "retrying"  # what sbatch prints before it sleeps and retries
_FULL = (_RETRYING, "MaxSubmitJob", "GrpSubmitJob")  # temporary, unlike other limits on submission
# Inside a job, sbatch takes SLURM_* variables as options of the new job, so only these are passed on. The variables in
# _DROPPED are the user's own and would override what the script relies on, or hide jobs from squeue and scancel.
_KEPT = ("SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS")
_DROPPED = ("SBATCH_JOB_NAME", "SBATCH_ARRAY_INX", "SBATCH_DEPENDENCY", "SQUEUE_", "SCANCEL_")
_HELD = LIVE - {"COMPLETING"}  # states of jobs that count against the limits of their user
_ID = re.compile(r"(\d+)(;\S+)?")
_PLAIN = re.compile(r"[\w.,:/=+@%*-]+", re.ASCII)  # safe without quotes for Slurm and for a shell


def is_available() -> bool:
    """Whether sbatch is installed."""
    return shutil.which("sbatch") is not None


def _environment() -> dict[str, str]:
    """The environment of Slurm's commands; SLURM_CLUSTERS directs all of them to the cluster that sbatch uses."""
    clusters = {"SLURM_CLUSTERS": os.environ["SBATCH_CLUSTERS"]} if "SBATCH_CLUSTERS" in os.environ else {}
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith("SLURM_")}
    return {name: value for name, value in {**clusters, **kept}.items() if not name.startswith(_DROPPED)}


def sbatch_quote(value: str) -> str:
    """The value quoted for an ``#SBATCH`` line: quotes group words, a backslash escapes the next character even within
    quotes, and # begins a comment (_get_argument in Slurm's src/sbatch/opt.c)."""
    if _PLAIN.fullmatch(checked(value)):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(job: Job, indices: Sequence[str]) -> str:
    """The value of --array. %1 runs one task at a time: ``singleton`` does not separate the tasks of one array."""
    return ",".join(indices) + ("" if job.at_once else "%1")


def directives(job: Job, site: Mapping[str, str]) -> list[str]:
    """The ``#SBATCH`` lines of a job. A directive of the site with {gpus} is omitted on nodes without GPUs."""
    fitting = {
        name: with_numbers(value, job) for name, value in site.items() if job.gpus_per_node or "{gpus}" not in value
    }
    array = {"array": _array(job, [f"0-{job.allocations - 1}"])} if job.allocations > 1 else {}
    # Jobs of the same name run one after another, since they would compete for the network.
    alone = {} if job.at_once else {"dependency": "singleton"}
    log = f"{job.part}.%A.%a.log" if job.allocations > 1 else f"{job.part}.%j.log"
    shape = {"job-name": job.name, "nodes": str(job.nodes), "ntasks-per-node": str(job.ranks_per_node)}
    filled = {name: with_numbers(value, job) for name, value in fitting.items()}
    given = {**shape, **filled, **job.asked, **array, **alone, "output": log}
    return [
        f"#SBATCH --{name}={sbatch_quote(value)}" if value else f"#SBATCH --{name}" for name, value in given.items()
    ]


def shell(job: Job) -> dict[str, str]:
    """What fills the places of the template."""
    ranks = job.ranks_per_node
    return {
        "enter": "",
        "index": "${SLURM_ARRAY_TASK_ID:-0}",
        "job": "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}",
        "running": 'squeue -h -t R,S,CG -j "$before" 2>/dev/null',
        "cores": "# Divide the cores of a node among its ranks, whose libraries start threads (srun reads this since "
        "Slurm 22.05).\nexport SRUN_CPUS_PER_TASK="
        f"$((${{SLURM_CPUS_ON_NODE:-0}} > {ranks} ? SLURM_CPUS_ON_NODE / {ranks} : 1))\n\n",
    }


def options(job: Job, indices: Sequence[int], after: Sequence[str]) -> list[str]:
    """Options of sbatch that override the script: directives given later, and the array tasks still to run. The script
    itself waits for other jobs of its name."""
    asked = [f"--{name}={value}" for name, value in job.asked.items()]
    some = len(indices) < job.allocations
    return [*asked, f"--array={_array(job, [str(index) for index in indices])}"] if some else asked


def by_hand(jobs: Sequence[Job]) -> str:
    """A line of shell that submits the scripts of these jobs."""
    return f"for job in {' '.join(f'{job.part}.sh' for job in jobs)}; do sbatch $job; done"


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
    done = ask(command, _environment())
    if done.returncode:
        raise SilentError(done.stderr.strip())
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


def mine(partition: str | None, qos: str | None) -> int:
    """The number of this user's jobs and tasks of arrays that wait or run in a partition (also among several) and of a
    quality of service. Raises SilentError."""
    rows = _query("squeue", "-h", "-r", "-t", "all", "-u", str(os.getuid()), "-o", "%T|%P|%q")
    return sum(
        state in _HELD and partition in (None, *partitions.split(",")) and qos in (None, held)
        for state, partitions, held in rows
    )


def cancel(jobs: Sequence[str]) -> None:
    """Cancel these jobs; those that have ended are no error. Raises SilentError."""
    done = ask(["scancel", *jobs], _environment())
    if done.returncode and "Invalid job id" not in done.stderr:
        raise SilentError(done.stderr.strip())
