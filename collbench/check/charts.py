"""Charts of a judgement: changes with their intervals over size, and the margin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from collbench.check.judgement import Judged, Judgement
from collbench.check.report import by_table
from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.views import page
from collbench.views.changes import Change, change_chart
from collbench.views.naming import suffixes, words_of
from collbench.views.origins import origin_of
from collbench.views.runs import known_facts
from collbench.views.titles import title_of


def draw_all(found: Judgement, files: Sequence[Path], folder: Path, warn: Callable[[str], None]) -> list[Path]:
    """Draw a chart for each table into ``folder``, as PNG and SVG files named after the results ``files``; returns
    their paths.

    Raises UsageError if they cannot be written, and OutputError on a full disk.
    """
    facts = [known_facts(path, warn) for path in files]
    stem = "-".join(dict.fromkeys((files[0].stem, files[-1].stem)))
    tables = by_table(found)
    names = suffixes([(backend, *words_of(group[0].record)) for (_, backend), group in tables.items()])
    paths: list[Path] = []
    with page.look():
        for name, group in zip(names, tables.values(), strict=True):
            known = {row: each[row.launch] for each in facts[:1] for one in group for row in one.trial.rows
                     if row.launch in each}  # fmt: skip
            paths += page.save(_chart(group, found, known), folder / f"{stem}-check{name}")
    return paths


def _chart(group: Sequence[Judged], found: Judgement, facts: Mapping[Record, Facts]) -> Figure:
    rows = [row for each in group for row in each.trial.rows]
    backend = "" if found.rule else f" of {group[0].record.backend}"
    title = f"{found.candidate} against {found.base}{backend}: {title_of(rows, facts)}"
    reading = "Interval: Student's t over launches" if found.rule else "Interval: Welch's t over runs or their launches"
    foot = f"{origin_of(rows, facts)}\n{reading}; shaded: the margin, within which a change does not matter."
    return change_chart([_change(each) for each in group], title, foot)


def _change(each: Judged) -> Change:
    finding, change = each.finding, each.finding.change
    low, value, high = (change.low, change.value, change.high) if change else (None, None, None)
    return Change(each.record.bytes, value, low, high, finding.margin, str(finding.verdict))
