"""PBS Professional and OpenPBS: directives for qsub, and a client for qsub, qstat, qselect and qdel.

Each allocation is a job, since PBS has no arrays of chosen indices; jobs that must not run at once form a chain.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from collbench.batch.job import Job, checked, with_numbers
from collbench.batch.qstat import jobs_of, seen
from collbench.batch.system import RefusedError, Seen, SilentError, ask
from collbench.errors import UsageError

NAME, SUBMIT = "PBS", "qsub"
# A routing queue takes a job, and deletes it without a trace if none of its destinations does.
UNSEEN = Seen("VANISHED", why="PBS does not know it: its queue may have rejected its nodes or time after submission")
CHAINS = True
DIRECTIVES: Mapping[str, str] = {"time": "walltime", "account": "A", "qos": "", "partition": "q"}
TIME_UNIT = 1
INDEX = "ALLOCATION_OF_COLLBENCH"  # the variable that holds the index of a job's allocation
_ID = re.compile(r"\d+(\[\])?(\.[\w.-]+)?", re.ASCII)
_BEHIND = re.compile(r"after\w+:(\d+)")
_GONE = ("Unknown Job Id", "Job has finished")


def is_available() -> bool:
    """Whether qsub is installed."""
    return shutil.which("qsub") is not None


def _environment() -> dict[str, str]:
    """The environment of PBS's commands, without the variable that changes what marks a directive."""
    return {name: value for name, value in os.environ.items() if name != "PBS_DPREFIX"}


def directives(job: Job, site: Mapping[str, str]) -> list[str]:
    """The ``#PBS`` lines of a job: one letter is an option of qsub, any other name a resource. qsub reads quotes as a
    shell does (make_argv in OpenPBS's src/cmds/qsub.c)."""
    shape = {
        "N": re.sub(r"[^\w.+-]", "_", job.name, flags=re.ASCII)[:230],
        "j": "oe",
        "select": "{nodes}:mpiprocs={ranks}",
        "place": "scatter",  # or a host may have several chunks
    }
    given = {**{name: with_numbers(value, job) for name, value in {**shape, **site}.items()}, **_asked(job.asked)}
    return [f"#PBS {shlex.join(map(checked, _words(name, value)))}" for name, value in given.items()]


def _words(name: str, value: str) -> list[str]:
    """A directive as words for qsub; "" is the value of a flag."""
    if len(name) > 1:
        return ["-l", f"{name}={value or True}"]
    return [f"-{name}", value] if value else [f"-{name}"]


def _asked(asked: Mapping[str, str]) -> dict[str, str]:
    """The user's directives by PBS's names. Raises UsageError for --qos."""
    if "qos" in asked:
        raise UsageError("PBS has no --qos; choose a queue with --partition.")
    values = {**asked, "time": _walltime(asked["time"])} if "time" in asked else asked
    return {DIRECTIVES[name]: value for name, value in values.items() if value}


def _walltime(text: str) -> str:
    """A time limit as ``--time`` takes it (minutes, MM:SS, HH:MM:SS, DAYS-HH[:MM[:SS]]) as HH:MM:SS: PBS reads a single
    number as seconds."""
    days, _, rest = text.rpartition("-")
    fields = [int(field) for field in rest.split(":")]
    units = (3600, 60, 1) if days or len(fields) == 3 else (60, 1)
    seconds = 86400 * int(days or 0) + sum(field * unit for field, unit in zip(fields, units, strict=False))
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def shell(job: Job) -> dict[str, str]:
    """What fills the places of the template."""
    index = f"${{{INDEX}:-0}}"
    return {
        "enter": "# PBS runs a copy of this script, in the home folder, and keeps its output until it ends.\n"
        f'cd "$PBS_O_WORKDIR"\nexec > "{job.part}.{index}.${{PBS_JOBID%%.*}}.log" 2>&1\n',
        "index": index,
        "job": "$PBS_JOBID",
        "running": "qstat \"$before\" 2>/dev/null | awk '$5 ~ /^[BERSU]$/'",
        "cores": "",
    }


def options(job: Job, indices: Sequence[int], after: Sequence[str]) -> list[str]:
    """Options of qsub that override the script, say which allocation it is, and make a chain. Raises UsageError for
    --qos."""
    asked = [word for name, value in _asked(job.asked).items() for word in _words(name, value)]
    chain = ["-W", f"depend=afterany:{':'.join(after)}"] if after and not job.at_once else []
    return [*asked, *_index(job, indices[0]), *chain]


def by_hand(jobs: Sequence[Job]) -> str:
    """A line of shell that submits the scripts of these jobs, as a chain where they must not run at once."""
    each = [
        f"'{' '.join([*_index(job, index), f'{job.part}.sh'])}'" for job in jobs for index in range(job.allocations)
    ]
    chain = "" if jobs[0].at_once else "${last:+-W depend=afterany:$last} "
    return f"last=; for job in {' '.join(each)}; do last=$(qsub {chain}$job); done"


def _index(job: Job, index: int) -> list[str]:
    return ["-v", f"{INDEX}={index}"] if job.allocations > 1 else []


def submit(script: Path, *options: str) -> str:
    """Submit a script, to run in its folder, and return the job id. Raises RefusedError."""
    done = subprocess.run(
        ["qsub", *options, script.name], cwd=script.parent, env=_environment(), capture_output=True, encoding="utf-8",
        errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        words = "; ".join(_complaints("qsub", done.stderr)) or " ".join(done.stderr.split())
        raise RefusedError(words, _is_full(words))
    numbers = [line.strip() for line in done.stdout.splitlines() if _ID.fullmatch(line.strip())]
    if not numbers:  # the id may stand among the banners of a site
        raise RefusedError(f"qsub printed no job id: {' '.join(done.stdout.split())}", full=False)
    return numbers[-1]


def _complaints(command: str, text: str) -> list[str]:
    return [line.removeprefix(f"{command}: ") for line in text.splitlines() if line.startswith(f"{command}: ")]


def _is_full(words: str) -> bool:
    """Whether it is a limit on the number of jobs, which is temporary, unlike one on resources (pbs_messages.c)."""
    number = "would exceed" in words and "limit" in words and " resource " not in words
    return number or "Maximum number of jobs" in words


def look(jobs: Sequence[str]) -> dict[str, Seen]:
    """The states of these jobs, by id, without jobs that PBS does not know. Raises SilentError.

    A job that is missing in the answer for all is asked for alone: some versions report the first of several only
    (openpbs issue 2672).
    """
    found = _states(jobs) if jobs else {}
    for job in jobs:
        if _number(job) not in found and len(jobs) > 1:
            found |= _states([job])
    ended = {_number(job) for job in jobs if _number(job) not in found or not found[_number(job)].live}
    return {job: _stuck(found[_number(job)], ended) for job in jobs if _number(job) in found}


def _stuck(now: Seen, ended: Set[str]) -> Seen:
    """The state of a job, ``STUCK`` if it is held behind one that has ended: where the other was rejected before it
    began, PBS does not release it, and only operators may."""
    before = _BEHIND.match(now.why)
    if now.state != "HELD" or not before or before[1] not in ended:
        return now
    return replace(now, state="STUCK", why=f"{now.why} ended; submit --cancel, then --resume")


def _number(job: str) -> str:
    """The number of a job, without its server, which has several names."""
    return job.split(".", maxsplit=1)[0]


def _states(jobs: Sequence[str]) -> dict[str, Seen]:
    try:
        found = _query(["-x", *jobs])
    except SilentError as error:
        if "not configured to maintain job history" not in str(error):
            raise
        found = _query(jobs)
    return {_number(job): seen(each) for job, each in found.items()}


def _query(words: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    done = ask(["qstat", "-E", "-f", "-F", "json", *words], _environment())
    complaints = _complaints("qstat", done.stderr)
    if done.returncode and not complaints:
        raise SilentError(" ".join(done.stderr.split()) or f"qstat: exit code {done.returncode}")
    _check(complaints)
    return jobs_of(done.stdout) if done.stdout.strip() else {}


def _check(complaints: Iterable[str]) -> None:
    """Raise SilentError for all complaints but those about jobs that are gone."""
    others = [words for words in complaints if not words.startswith(_GONE)]
    if others:
        raise SilentError("; ".join(others))


def mine(partition: str | None, qos: str | None) -> int:
    """The number of this user's jobs and subjobs that wait or run in a queue; PBS has no quality of service. Raises
    SilentError."""
    # Of arrays their subjobs, without those that have ended (state X); qstat would print the jobs of all users.
    done = ask(
        ["qselect", "-T", "-s", "EHQRSTUW", "-u", _user(), *(["-q", partition] if partition else [])], _environment()
    )
    if done.returncode:
        raise SilentError("; ".join(_complaints("qselect", done.stderr)) or f"qselect: exit code {done.returncode}")
    return len(done.stdout.split())


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise SilentError(f"user {os.getuid()} has no name here") from None


def cancel(jobs: Sequence[str]) -> None:
    """Delete these jobs, in this order; those that have ended are no error. Raises SilentError."""
    done = ask(["qdel", *jobs], _environment())
    _check(_complaints("qdel", done.stderr))
