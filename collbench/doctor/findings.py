"""Findings of ``doctor``: grade, description and cure, and their forms."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from collbench.printer.forms import Form, printed
from collbench.tables import Page, table_of, words

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


def show(findings: Sequence[Finding], form: Form) -> str:
    """The findings in this form; as plain text not a table but a line for each, followed by its cure."""
    if form is Form.PLAIN:
        return "\n".join(line for finding in findings for line in _lines(finding))
    rows = [[_mark(finding), finding.what, finding.found, finding.cure] for finding in findings]
    page = Page((table_of("", words("grade", "what", "found", "cure"), rows),))
    return printed(page, [dataclasses.asdict(finding) for finding in findings], form)


def _lines(finding: Finding) -> list[str]:
    cure = [f"      cure: {finding.cure}"] if finding.cure else []
    return [f"{_mark(finding):4}  {finding.what}: {finding.found}", *cure]


def _mark(finding: Finding) -> str:
    return _MARKS[finding.grade] if finding.matters else "--"
