"""What the doctor found: graded, with its cure, and how it is shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass

FINE, NOTE, BAD = "fine", "note", "bad"
_MARKS = {FINE: "ok", NOTE: "note", BAD: "BAD"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its grade, what was found, and the cure where there is something to cure.

    ``note`` is for what costs speed or may go wrong; ``bad`` for what keeps a sweep from running, or makes its numbers
    worthless. ``matters`` is false for what cannot be had on this kind of machine and need not be.
    """

    what: str
    grade: str
    found: str
    cure: str = ""
    matters: bool = True

    @property
    def fine(self) -> bool:
        """Whether a sweep can be run and believed."""
        return self.grade != BAD


def fine(what: str, found: str, matters: bool = True) -> Finding:
    """Nothing to do."""
    return Finding(what, FINE, found, matters=matters)


def note(what: str, found: str, cure: str) -> Finding:
    """Better cured."""
    return Finding(what, NOTE, found, cure)


def bad(what: str, found: str, cure: str) -> Finding:
    """To be cured first."""
    return Finding(what, BAD, found, cure)


def show(findings: Iterable[Finding], as_json: bool) -> str:
    """A line for each finding, with its cure below it."""
    if as_json:
        return json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1)
    lines = []
    for finding in findings:
        mark = _MARKS[finding.grade] if finding.matters else "--"
        lines.append(f"{mark:4}  {finding.what}: {finding.found}")
        if finding.cure:
            lines.append(f"      cure: {finding.cure}")
    return "\n".join(lines)
