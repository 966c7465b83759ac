"""What an import prints: a row for each run, then what was not understood."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collbench.foreign.formats import Reading, spans
from collbench.foreign.rows import Imported
from collbench.results.records import Record
from collbench.tables import Page, counted, numbers, table_of, words

MOST_SPANS, MOST_TEXT = 12, 60


def page(path: Path, runs: Sequence[Imported]) -> Page:
    """The table of the runs in the results file ``path``, and notes on each log."""
    columns = [*words("log", "tool", "backend", "latency is"), *numbers("rows", "launch")]
    table = table_of("", columns, [_row(each) for each in runs])
    readings = list({each.reading.source.sha256: each.reading for each in runs}.values())
    notes = [
        [words] for words in (*_at_fault(runs), *_repeated(runs), *_said(readings), *map(_missed, readings)) if words
    ]
    rows = sum(len(each.rows) for each in runs)
    return Page((table,), tuple(tuple(note) for note in notes), f"{path}: {counted(rows, 'row')}")


def plain(path: Path, runs: Sequence[Imported]) -> list[dict[str, object]]:
    """The same as values for JSON, a dictionary for each run."""
    return [
        {"results": str(path), "log": str(each.reading.source.path), "tool": each.run.tool,
         "version": each.run.version or None, "backends": _backends(each), "statistics": _statistics(each),
         "rows": len(each.rows), "launch": each.launch, "wrong": len(_faults(each)), "repeated": each.repeated,
         "not_understood": spans(each.reading.missed), "remarks": list(each.reading.remarks)}
        for each in runs
    ]  # fmt: skip


def _row(each: Imported) -> list[str]:
    tool = f"{each.run.tool} {each.run.version}".strip()
    named = (str(each.reading.source.path), tool, ", ".join(_backends(each)), ", ".join(_statistics(each)))
    return [*named, str(len(each.rows)), str(each.launch)]


def _backends(each: Imported) -> list[str]:
    return list(dict.fromkeys(record.backend for record, _ in each.rows))


def _statistics(each: Imported) -> list[str]:
    return list(dict.fromkeys(case.statistic for case in each.run.cases))


def _at_fault(runs: Sequence[Imported]) -> list[str]:
    """The rows without a latency, by log and reason."""
    reasons: dict[str, list[str]] = {}
    for each in runs:
        for record in _faults(each):
            reasons.setdefault(str(each.reading.source.path), []).append(record.reason)
    return [
        f"{path}: {counted(len(found), 'row')} with status wrong and without a latency, the first because {found[0]}."
        for path, found in reasons.items()
    ]


def _faults(each: Imported) -> list[Record]:
    return [record for record, _ in each.rows if record.status != "ok"]


def _repeated(runs: Sequence[Imported]) -> list[str]:
    return [
        f"{each.reading.source.path}: {counted(each.repeated, 'row')} of cases that a run has already, as with other "
        "roots, in further cycles, or from ranks that wrote at once: the first of each is kept, they are no launches."
        for each in runs
        if each.repeated
    ]


def _said(readings: Sequence[Reading]) -> list[str]:
    return [f"{reading.source.path} {words}." for reading in readings for words in reading.remarks]


def _missed(reading: Reading) -> str:
    """The lines of a log that were not understood, with the text of the first."""
    if not reading.missed:
        return ""
    found = spans(reading.missed)
    more = f" and {len(found) - MOST_SPANS} more" if len(found) > MOST_SPANS else ""
    first = next(line.text.strip() for line in reading.source.lines if line.number == reading.missed[0])
    shown = "".join(each if each.isprintable() else " " for each in first)
    cut = f"{shown[:MOST_TEXT]}..." if len(shown) > MOST_TEXT else shown
    listed = ", ".join(found[:MOST_SPANS])
    return (
        f"{reading.source.path}: not understood: line{'s' * (len(reading.missed) > 1)} {listed}{more}; the first: {cut}"
    )
