"""A judgement as a JUnit report, which build servers and pytest's plug-ins read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from xml.etree import ElementTree

from collbench.check.judgement import Judged, Judgement
from collbench.check.report import headline
from collbench.check.rule import Verdict
from collbench.plan.sizes import format_size
from collbench.results.panels import title_of

# A case that is not judged is an error, so that a report is green only where the check's exit code is 0.
ELEMENTS: Mapping[Verdict, str] = MappingProxyType({
    Verdict.SLOWER: "failure", Verdict.UNCLEAR: "error", Verdict.MISSING: "error",
})  # fmt: skip


def junit(found: Judgement) -> str:
    """The report as XML: a test case for each case, one more for refusals."""
    suite = ElementTree.Element("testsuite", name=_clean(f"collbench check: {found.candidate} against {found.base}"))
    for words in found.refusals:
        _add(suite, "refusals", "comparable", "error", words)
    kinds = [_add_case(suite, each) for each in found.cases]
    suite.set("tests", str(len(kinds) + len(found.refusals)))
    suite.set("failures", str(kinds.count("failure")))
    suite.set("errors", str(kinds.count("error") + len(found.refusals)))
    ElementTree.SubElement(suite, "system-out").text = _clean(headline(found))
    ElementTree.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suite, encoding="unicode")}\n'


def _add_case(suite: ElementTree.Element, each: Judged) -> str:
    kind = ELEMENTS.get(each.finding.verdict, "")
    change = each.finding.change
    by = f" by {change.value:+.2f} % ({change.low:+.2f} to {change.high:+.2f})" if change else ""
    reason = f": {each.finding.reason}" if each.finding.reason else ""
    title = f"{title_of(each.record)} · {each.record.backend}"
    _add(suite, title, format_size(each.record.bytes), kind, f"{each.finding.verdict}{by}{reason}")
    return kind


def _add(suite: ElementTree.Element, group: str, name: str, kind: str, words: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=_clean(group), name=name)
    if kind:
        ElementTree.SubElement(case, kind, message=_clean(words))
    else:
        ElementTree.SubElement(case, "system-out").text = _clean(words)


def _clean(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return "".join(each if each.isprintable() or each in "\n\t" else " " for each in text)
