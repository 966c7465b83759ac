"""What a batch system must do for a submission. Each system is a module with these names: slurm.py, pbs.py."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from collbench.batch.job import Job

QUERY_SECONDS = 60.0  # limit of one query
LIVE = frozenset({
    # Slurm
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED",
    "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT", "RESV_DEL_HOLD",
    # PBS, besides RUNNING and SUSPENDED
    "QUEUED", "HELD", "STUCK", "WAITING", "MOVING", "MOVED", "EXITING",
})  # fmt: skip


class RefusedError(RuntimeError):
    """The system refused a job; the message is the system's. ``full``: a limit on the number of jobs, worth a retry
    later."""

    def __init__(self, words: str, full: bool) -> None:
        super().__init__(words)
        self.full = full


class SilentError(RuntimeError):
    """A command of the batch system failed or timed out; the message is that of the batch or operating system."""


@dataclass(frozen=True)
class Seen:
    """A job as its system reports it: state, elapsed time, node list, and the reason why it waits or how it ended.

    States are the system's own words, except that of both ``COMPLETED`` is success and ``TIMEOUT`` the time limit.
    """

    state: str
    elapsed: str = ""
    nodes: str = ""
    why: str = ""

    @property
    def live(self) -> bool:
        """Whether the job is pending, running or about to be requeued."""
        return self.state in LIVE


class System(Protocol):
    """A batch system. ``NAME`` is for messages, ``SUBMIT`` the command that submits a script, and ``UNSEEN`` what a job
    is that the system does not know and that never began. ``CHAINS``: each allocation is a job, and names the one that
    it waits for; otherwise the allocations of a node count are a job array, and jobs of one name wait for each other.
    ``DIRECTIVES``: by option of ``collbench submit``, the name of its directive. ``TIME_UNIT``: how many seconds the
    unit of a directive for the time has that is a number alone."""

    NAME: str
    SUBMIT: str
    UNSEEN: Seen
    CHAINS: bool
    DIRECTIVES: Mapping[str, str]
    TIME_UNIT: int

    def is_available(self) -> bool:
        """Whether its commands are installed."""
        ...

    def directives(self, job: Job, site: Mapping[str, str]) -> list[str]:
        """The lines of a script that ask for resources; ``site`` are the directives of the profile, by name."""
        ...

    def shell(self, job: Job) -> dict[str, str]:
        """What fills the places of the template that differ between systems: ``enter`` before all else, the ``index``
        of the allocation and the id of the ``job``, a command that prints nothing unless the job $before is
        ``running``, and the ``cores`` of a rank."""
        ...

    def options(self, job: Job, indices: Sequence[int], after: Sequence[str]) -> list[str]:
        """The options that submit these allocations, to begin when the jobs ``after`` have ended."""
        ...

    def by_hand(self, jobs: Sequence[Job]) -> str:
        """A line of shell that submits the scripts of these jobs, in their folder."""
        ...

    def submit(self, script: Path, *options: str) -> str:
        """Submit a script, to run in its folder, and return the job id. Raises RefusedError."""
        ...

    def look(self, jobs: Sequence[str]) -> dict[str, Seen]:
        """The states of these jobs, by id, without jobs that the system does not know. Raises SilentError."""
        ...

    def mine(self, partition: str | None, qos: str | None) -> int:
        """The number of this user's jobs that wait or run in a partition and of a quality of service (None: in any,
        of any). Elements of an array are jobs. Raises SilentError."""
        ...

    def cancel(self, jobs: Sequence[str]) -> None:
        """Cancel these jobs, in this order; those that have ended are no error. Raises SilentError."""
        ...


def ask(command: Sequence[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What a command prints, whatever its exit code. Raises SilentError if it is missing or times out."""
    try:
        return subprocess.run(
            command, env=variables, capture_output=True, encoding="utf-8", errors="replace", check=False,
            timeout=QUERY_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SilentError(str(error)) from None
