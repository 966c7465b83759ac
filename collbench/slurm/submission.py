"""A submission on disk: its scripts and parts in a folder beside the results file, and what has come in so far."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collbench.errors import UsageError
from collbench.results.files import doing_path, replace_text, sidecar_path
from collbench.results.records import Record, load
from collbench.slurm.scripts import Job

SCHEMA = 1


@dataclass(frozen=True)
class Part:
    """What one allocation measures: the files that begin with ``name`` in the submission's folder."""

    job: Job
    index: int
    folder: Path

    @property
    def name(self) -> str:
        """``nodes4.0``: node count and allocation."""
        return f"{self.job.part}.{self.index}"

    @property
    def csv(self) -> Path:
        """Its results file."""
        return self.folder / f"{self.name}.csv"

    def records(self) -> list[Record]:
        """Its finished rows; a row that is just being written is not one."""
        return load(self.csv, drop_cut_row=True) if self.csv.exists() else []

    def complete(self) -> bool:
        """Whether its job came to its end, with all its launches."""
        if not (self.folder / f"{self.name}.ended").exists() or doing_path(self.csv).exists():
            return False
        return {record.launch for record in self.records()} == set(range(self.job.launches))

    @property
    def first_launch(self) -> int:
        """The number that its launch 0 has among those of all allocations."""
        return self.index * self.job.launches

    def ran(self) -> list[str]:
        """The id of the job that began last, as the job itself wrote it down."""
        note = self.folder / f"{self.name}.job"
        return note.read_text(encoding="utf-8").split() if note.exists() else []

    def launches(self) -> list[dict[str, Any]]:
        """What its sidecar says of each launch, [] where there is none yet."""
        found: list[dict[str, Any]] = (_json(sidecar_path(self.csv)) or {}).get("launches", [])
        return found

    def preflight(self) -> Any:
        """What ``doctor`` found at the beginning of its last job, None where it has not run."""
        said = self.folder / f"{self.name}.doctor.json"
        lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
        if not {"[", "]"} <= set(lines):
            return None
        return json.loads("\n".join(lines[lines.index("[") : lines.index("]") + 1]))  # launchers print lines of theirs


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None  # not there yet, or its writer was ended at it


@dataclass(frozen=True)
class Submission:
    """What was submitted: the jobs, from which profile, and for each part the ids of the jobs that ran it, the newest
    last."""

    path: Path
    profile: str
    jobs: tuple[Job, ...]
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where scripts, logs and parts are."""
        return folder_of(self.path)

    def parts(self) -> list[Part]:
        """All parts, in the order of node counts and allocations."""
        return [Part(job, index, self.folder) for job in self.jobs for index in range(job.allocations)]

    def ids_of(self, part: Part) -> list[str]:
        """The ids of a part's jobs, the newest last; also of one that was submitted by hand, once it has begun."""
        known = {*self.ids.get(part.name, ()), *part.ran()}
        return sorted(known, key=lambda number: int(number.split("_")[0]))

    def last_id(self, part: Part) -> str:
        """The id of its newest job, "" where there is none."""
        return (self.ids_of(part) or [""])[-1]

    def script(self, job: Job) -> Path:
        """Where the script of a job is."""
        return self.folder / f"{job.part}.sh"

    def with_id(self, part: Part, number: str) -> Submission:
        """The same, with one more job for a part."""
        return dataclasses.replace(self, ids={**self.ids, part.name: (*self.ids.get(part.name, ()), number)})

    def asking(self, directives: Mapping[str, str]) -> Submission:
        """The same, whose jobs ask Slurm for these directives too."""
        jobs = tuple(dataclasses.replace(job, asked={**job.asked, **directives}) for job in self.jobs)
        return dataclasses.replace(self, jobs=jobs)

    def save(self) -> None:
        """Write it down; it is complete at any time."""
        content = {"schema": SCHEMA, "profile": self.profile, "jobs": [dataclasses.asdict(job) for job in self.jobs],
                   "ids": self.ids}  # fmt: skip
        replace_text(self.folder / "submission.json", json.dumps(content, indent=1) + "\n")


def folder_of(path: Path) -> Path:
    """The folder of the submission whose results go into ``path``."""
    return path.with_suffix(".jobs")


def reopen(path: Path) -> Submission:
    """The submission whose results go into ``path``; UsageError where there is none."""
    content = _json(folder_of(path) / "submission.json")
    if content is None:
        raise UsageError(f"nothing was submitted for {path}; collbench submit --profile ... -o {path} does.")
    if content["schema"] != SCHEMA:
        raise UsageError(f"{folder_of(path)} was written by another collbench; go on with that one.")
    jobs = tuple(Job(**{**job, "sweep": tuple(job["sweep"])}) for job in content["jobs"])
    return Submission(path, content["profile"], jobs, {name: tuple(ids) for name, ids in content["ids"].items()})
