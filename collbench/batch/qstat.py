"""What ``qstat -f -F json`` of PBS says of jobs.

Attributes, substates and exit codes: OpenPBS, src/include/job.h and doc/man1/pbs_job_attributes.7B.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from collbench.batch.system import Seen, SilentError

_LIVE = {
    "Q": "QUEUED", "H": "HELD", "W": "WAITING", "T": "MOVING", "M": "MOVED", "B": "RUNNING", "R": "RUNNING",
    "E": "EXITING", "S": "SUSPENDED", "U": "SUSPENDED",
}  # fmt: skip
_TERMINATED = 91  # substate of a job that was deleted; its exit status may be 0
_OUT_OF_TIME = -29  # exit status
# Versions before 2023 print values that look like numbers to C, such as 005, without quotes; those before 2020 escape
# characters that JSON does not (openpbs pull requests 2603 and 2049). Attributes stand on lines of their own.
_BARE = re.compile(r'^(\s*"[^"]+":\s*)([^\s"{\[].*?)(,?)$', re.MULTILINE)
_ESCAPE = re.compile(r'\\(["\\/bfnrtu])?')


def jobs_of(text: str) -> dict[str, Mapping[str, Any]]:
    """The attributes of jobs by id. Raises SilentError if the text cannot be read."""
    for attempt in (text, _mended(text)):
        try:
            found = json.loads(attempt, strict=False).get("Jobs", {})
        except (ValueError, AttributeError):
            continue
        if isinstance(found, dict) and all(isinstance(job, dict) for job in found.values()):
            return found
    raise SilentError(f"qstat printed no JSON: {' '.join(text.split())[:200]}")


def _mended(text: str) -> str:
    quoted = _BARE.sub(lambda found: f"{found[1]}{json.dumps(found[2])}{found[3]}", text)
    return _ESCAPE.sub(lambda found: found[0] if found[1] else "", quoted)


def seen(job: Mapping[str, Any]) -> Seen:
    """A job by its attributes. One that ended without hosts never ran."""
    state = _LIVE.get(str(job.get("job_state"))) or _end(job)
    used = job.get("resources_used")
    elapsed = used.get("walltime", "") if isinstance(used, dict) else ""
    hosts = dict.fromkeys(each.split("/")[0] for each in str(job.get("exec_host", "")).split("+"))
    return Seen(state, str(elapsed), ",".join(hosts), _why(state, job))


def _end(job: Mapping[str, Any]) -> str:
    code = _number(job.get("Exit_status"))
    if "exec_host" not in job:
        return "NEVER RAN"
    if code == _OUT_OF_TIME or "exceeded resource walltime" in str(job.get("comment")):
        return "TIMEOUT"
    if _number(job.get("substate")) == _TERMINATED:
        return "DELETED"
    return "COMPLETED" if code == 0 else "FAILED"


def _number(value: object) -> int | None:
    """An integer, which a mended text has as a string."""
    text = str(value)
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _why(state: str, job: Mapping[str, Any]) -> str:
    if state == "FAILED":
        return f"exit status {job.get('Exit_status', 'unknown')}"
    behind = " ".join(each for each in str(job.get("depend", "")).split(",") if each.startswith("after"))
    if state == "HELD" and behind:
        return behind
    # The comment on a job that runs names every host and its resources; what became of it comes last.
    comment = str(job.get("comment", "")).rpartition(") and ")[2]
    return "" if state in ("RUNNING", "EXITING", "COMPLETED", "TIMEOUT") else comment or behind
