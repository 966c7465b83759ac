"""A submission on disk: its scripts, logs and parts in a folder next to the results file."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collbench.batch.job import Job
from collbench.batch.known import SYSTEMS
from collbench.batch.system import System
from collbench.errors import UsageError
from collbench.jobs.limits import Limit
from collbench.results.files import doing_path, sidecar_path
from collbench.results.records import Record, load
from collbench.results.writing import replace_text

SCHEMA = 1
_ID = re.compile(r"\d+(_\d+|\.[\w.-]+)?")  # of Slurm, or of PBS with its server


@dataclass(frozen=True)
class Part:
    """The work of one allocation: the files whose names begin with ``name`` in the submission's folder."""

    job: Job
    index: int
    folder: Path

    @property
    def name(self) -> str:
        """Node count and index of the allocation, such as ``nodes4.0``."""
        return f"{self.job.part}.{self.index}"

    @property
    def csv(self) -> Path:
        """The results file of this part."""
        return self.folder / f"{self.name}.csv"

    def records(self) -> list[Record]:
        """The finished rows, without one that is still being written."""
        return load(self.csv, drop_cut_row=True) if self.csv.exists() else []

    def complete(self) -> bool:
        """Whether the job finished all its launches."""
        if not (self.folder / f"{self.name}.ended").exists() or doing_path(self.csv).exists():
            return False
        return len({record.launch for record in self.records()}) >= self.job.launches

    @property
    def numbers(self) -> int:
        """How many launches it is numbered for: those of the job, or more where it was requeued to other hosts."""
        return max([self.job.launches, *(record.launch + 1 for record in self.records())])

    def ran(self) -> list[str]:
        """The id of the job that started last, as that job recorded it; [] if none has started."""
        return [word for word in self._lines("job") if _ID.fullmatch(word)]

    def launches(self) -> list[dict[str, Any]]:
        """The facts of each launch from the sidecar, [] while there is none."""
        found = facts(sidecar_path(self.csv)).get("launches")
        entries = found if isinstance(found, list) else []
        return [each for each in entries if isinstance(each, dict) and isinstance(each.get("launch"), int)]

    def preflight(self) -> Any:
        """The findings of ``doctor`` at the start of the last job, None if it has not run."""
        lines = self._lines("doctor.json")
        if not {"[", "]"} <= set(lines):
            return None
        with suppress(ValueError):  # launchers add lines of their own
            return json.loads("\n".join(lines[lines.index("[") : lines.index("]") + 1]))
        return None

    def _lines(self, suffix: str) -> list[str]:
        """The lines of one of its files, [] if it is missing."""
        return (_text(self.folder / f"{self.name}.{suffix}") or "").splitlines()


def _text(path: Path) -> str | None:
    """The text of a file, None if it is missing. Raises UsageError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; make it readable.") from None


def facts(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} if it is missing, or damaged because its writer was killed. Raises UsageError if it
    cannot be read."""
    try:
        content = json.loads(_text(path) or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


@dataclass(frozen=True)
class Submission:
    """A submission: its jobs, the name of their profile, by part the ids of the jobs that were submitted for it, newest
    last, and the table of its batch system in a profile. ``path`` is the results file. ``limits`` are those of the
    profile, and ``usual`` its values of the options that a user may give."""

    path: Path
    profile: str
    jobs: tuple[Job, ...]
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table: str = "slurm"
    limits: tuple[Limit, ...] = ()
    usual: Mapping[str, str] = field(default_factory=dict)

    @property
    def system(self) -> System:
        """The batch system of its jobs."""
        return SYSTEMS[self.table]

    @property
    def folder(self) -> Path:
        """The folder of scripts, logs and parts."""
        return folder_of(self.path)

    def parts(self) -> list[Part]:
        """All parts, in the order of node counts and allocations."""
        return [Part(job, index, self.folder) for job in self.jobs for index in range(job.allocations)]

    def ids_of(self, part: Part) -> list[str]:
        """The ids of a part's jobs, newest last, including a job submitted by hand once it has started."""
        known = {*self.ids.get(part.name, ()), *part.ran()}
        return sorted(known, key=sequence)

    def last_id(self, part: Part) -> str:
        """The id of its newest job, "" if there is none."""
        return (self.ids_of(part) or [""])[-1]

    @property
    def note(self) -> Path:
        """Path of the file that describes this submission."""
        return note_of(self.path)

    def script(self, job: Job) -> Path:
        """Path of a job's script."""
        return self.folder / f"{job.part}.sh"

    def with_id(self, part: Part, number: str) -> Submission:
        """A copy with one more job id for a part."""
        return dataclasses.replace(self, ids={**self.ids, part.name: (*self.ids.get(part.name, ()), number)})

    def with_directives(self, directives: Mapping[str, str]) -> Submission:
        """A copy whose jobs have these directives in addition."""
        jobs = tuple(dataclasses.replace(job, asked={**job.asked, **directives}) for job in self.jobs)
        return dataclasses.replace(self, jobs=jobs)

    def save(self) -> None:
        """Write ``submission.json`` atomically."""
        content = {"schema": SCHEMA, "profile": self.profile, "jobs": [dataclasses.asdict(job) for job in self.jobs],
                   "ids": self.ids, "system": self.table,
                   "limits": [dataclasses.asdict(limit) for limit in self.limits], "usual": self.usual}  # fmt: skip
        replace_text(self.note, json.dumps(content, indent=1) + "\n")


def sequence(number: str) -> int:
    """The number by which a batch system counts its jobs, from a job id."""
    return int(re.split(r"\D", number)[0])


def folder_of(path: Path) -> Path:
    """The folder of the submission whose results go into ``path``."""
    return path.with_suffix(".jobs")


def note_of(path: Path) -> Path:
    """The file that describes the submission whose results go into ``path``."""
    return folder_of(path) / "submission.json"


def reopen(path: Path) -> Submission:
    """Load the submission whose results go into ``path``. Raises UsageError if there is none or its file is damaged."""
    note = note_of(path)
    text = _text(note)
    if text is None:
        raise UsageError(
            f"nothing was submitted for {path}; submit first, with collbench submit --profile NAME -o {path}."
        )
    try:
        content = json.loads(text)
        found = _submission(path, content) if content["schema"] == SCHEMA else None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UsageError(f"{note} is damaged; restore it, or submit again with another -o than {path}.") from None
    if found is None:
        raise UsageError(f"{folder_of(path)} was written by another version of collbench; continue with that version.")
    return found


def _submission(path: Path, content: Mapping[str, Any]) -> Submission:
    jobs = tuple(Job(**{**job, "sweep": tuple(job["sweep"])}) for job in content["jobs"])
    table = content.get("system", "slurm")
    _ = SYSTEMS[table]
    ids = {name: tuple(each) for name, each in content["ids"].items()}
    limits = tuple(Limit(**limit) for limit in content.get("limits", ()))
    return Submission(path, content["profile"], jobs, ids, table, limits, content.get("usual", {}))
