"""Merge the parts of a submission into one results file with its samples and its sidecar."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from collbench.batch.system import Seen
from collbench.errors import UsageError
from collbench.jobs.follow import NOT_SUBMITTED
from collbench.jobs.submission import Part, Submission, facts
from collbench.results.files import SCHEMA, load_samples, sidecar_path, write_whole
from collbench.results.records import JOB, Record
from collbench.results.writing import replace_text


def job_row(part: Part, run_id: str, launch: int, number: str, seen: Seen) -> Record:
    """The row of a job that did not finish: status ``timeout`` or ``failed``, with the state of the job as reason.
    ``launch`` is its first one."""
    submitted = bool(number) and seen.state != NOT_SUBMITTED
    words = f"job {number} of {part.name}: {seen.state}" if submitted else f"{part.name}: not submitted"
    rows = len(part.records())
    time = f" after {seen.elapsed}" if seen.elapsed else ""
    why = f" ({seen.why})" if seen.why else ""
    return Record(
        run_id=run_id,
        launch=launch,
        collective="",
        backend=JOB,
        dtype="",
        op="",
        bytes=0,
        count=0,
        ranks=part.job.nodes * part.job.ranks_per_node,
        nodes=part.job.nodes,
        gpus_per_node=part.job.ranks_per_node,
        fabric="",
        mode="",
        in_place=False,
        params=f"job={number}" if number else "",
        status="timeout" if seen.state == "TIMEOUT" else "failed",
        reason=f"{words}{time}{why}; {rows} row{'s' * (rows != 1)} kept, submit --resume continues",
    )


def gather(submission: Submission, seen: Mapping[str, Seen]) -> list[Record]:
    """Write the results file of a submission from the present rows of its parts, and return its records.

    The file replaces an earlier one. Launches are numbered across the allocations of a job. ``seen`` holds, by part,
    the state of its last job; an incomplete part ends with a row for that job. Raises UsageError where the file belongs
    to another run.
    """
    _check_place(submission.path)
    run_id = submission.path.stem
    rows: list[tuple[Record, Sequence[float]]] = []
    first = first_launches(submission)
    for part in submission.parts():
        samples = load_samples(part.csv)
        for index, record in enumerate(part.records()):
            shifted = replace(record, run_id=run_id, launch=record.launch + first[part.name])
            rows.append((shifted, samples.get(index, ())))
        if not part.complete():
            rows.append((job_row(part, run_id, first[part.name], submission.last_id(part), seen[part.name]), ()))
    write_whole(submission.path, rows)
    parts = [_part_facts(part, submission.ids_of(part), seen[part.name]) for part in submission.parts()]
    launches = [launch for part in submission.parts() for launch in _launches(part, first[part.name])]
    content = {"schema": SCHEMA, "run_id": run_id, "submission": {"profile": submission.profile, "parts": parts},
               "launches": launches}  # fmt: skip
    replace_text(sidecar_path(submission.path), json.dumps(content, indent=1) + "\n")
    return [record for record, _ in rows]


def _check_place(path: Path) -> None:
    """Raise UsageError if ``path`` holds results that no submission wrote."""
    if path.exists() and "submission" not in facts(sidecar_path(path)):
        raise UsageError(f"{path} holds another run; move it, then gather with collbench submit --wait -o {path}.")


def first_launches(submission: Submission) -> dict[str, int]:
    """By part, the number of its launch 0, counted across the allocations of its job."""
    found, after = {}, dict.fromkeys((job.part for job in submission.jobs), 0)
    for part in submission.parts():
        found[part.name] = after[part.job.part]
        after[part.job.part] += part.numbers
    return found


def _launches(part: Part, first: int) -> list[dict[str, Any]]:
    return [{**each, "launch": each["launch"] + first, "part": part.name} for each in part.launches()]


def _part_facts(part: Part, ids: list[str], seen: Seen) -> dict[str, Any]:
    return {
        "part": part.name,
        "jobs": ids,
        "state": seen.state,
        "hosts": seen.nodes,
        "sweep": list(part.job.sweep),
        "asked": dict(part.job.asked),
        "preflight": part.preflight(),
    }
