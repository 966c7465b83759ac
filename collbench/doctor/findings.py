"""Findings of ``doctor``: grade, description and cure, printed as text or JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass

FINE, NOTE, BAD = "fine", "note", "bad"
_MARKS = {FINE: "ok", NOTE: "note", BAD: "BAD"}


@dataclass(frozen=True)
class Finding:
    """The result of one check: its grade, what was found, and a cure unless the grade is ``fine``.

    ``note`` marks what costs speed or may fail; ``bad`` what prevents a sweep or invalidates its numbers. ``matters``
    is false for optional components that this kind of machine lacks.
    """

    what: str
    grade: str
    found: str
    cure: str = ""
    matters: bool = True

    @property
    def fine(self) -> bool:
        """Whether a sweep can run and its numbers are valid."""
        return self.grade != BAD


def fine(what: str, found: str, matters: bool = True) -> Finding:
    """A finding without a problem."""
    return Finding(what, FINE, found, matters=matters)


def note(what: str, found: str, cure: str) -> Finding:
    """A finding that costs speed or may cause a failure."""
    return Finding(what, NOTE, found, cure)


def bad(what: str, found: str, cure: str) -> Finding:
    """A finding that must be cured before a sweep."""
    return Finding(what, BAD, found, cure)


def show(findings: Iterable[Finding], as_json: bool) -> str:
    """One line per finding, followed by its cure; or a JSON list."""
    if as_json:
        return json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1, allow_nan=False)
    lines = []
    for finding in findings:
        mark = _MARKS[finding.grade] if finding.matters else "--"
        lines.append(f"{mark:4}  {finding.what}: {finding.found}")
        if finding.cure:
            lines.append(f"      cure: {finding.cure}")
    return "\n".join(lines)
