"""Findings: three grades, one voice."""

from __future__ import annotations

import json

from collbench.doctor.findings import bad, fine, note, show
from collbench.printer.forms import Form


def test_grades_have_marks_and_cures_stand_below() -> None:
    findings = [fine("a", "well"), fine("b", "not here", False), note("c", "slow", "hurry"), bad("d", "down", "fix")]
    assert show(findings, Form.PLAIN).splitlines() == [
        "ok    a: well", "--    b: not here", "note  c: slow", "      cure: hurry", "BAD   d: down", "      cure: fix",
    ]  # fmt: skip
    assert [finding.fine for finding in findings] == [True, True, True, False]
    assert json.loads(show(findings, Form.JSON))[2] == {
        "what": "c", "grade": "note", "found": "slow", "cure": "hurry", "matters": True,
    }  # fmt: skip
    assert show(findings, Form.MARKDOWN).splitlines()[-2:] == [
        "| note | c | slow | hurry |",
        "| BAD | d | down | fix |",
    ]
