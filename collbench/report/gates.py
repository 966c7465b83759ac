"""The section of gates: the judgement of each check among the files, and of two runs that share cases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from collbench.check import report
from collbench.check.judgement import Judged, Judgement
from collbench.errors import Exit, UsageError
from collbench.measure.judged import check_in, goal_of, judge_between
from collbench.measure.two_runs import other_libraries
from collbench.plan.sizes import format_size
from collbench.report.charts import Axis, Chart, Line, Pane, Point
from collbench.report.curves import CROSS, Artist
from collbench.report.looks import Looks
from collbench.report.markup import Html, joined, tag
from collbench.report.sections import Gallery, Section
from collbench.report.tables import notes_html, page_html
from collbench.results.panels import title_of
from collbench.tables import notes_of
from collbench.views.changes import BEYOND, LOOKS, below
from collbench.views.naming import readable
from collbench.views.palette import GREY

READING = (
    "Above 0 is slower. Bar: the interval over launches; shaded: the margin, within which a change does not matter."
)

# What is shown; the verdict, and whether it is bad news; None where check refuses to judge.
Part = tuple[Html, tuple[str, bool] | None]


def gate_section(artist: Artist, files: Sequence[Path], two: Sequence[Path], gallery: Gallery) -> list[Section]:
    """A part for each check among the ``files``, and for ``two`` runs, the first before and the second after a change;
    [] if there are none."""
    found = [part for path in files for part in _check(artist, path, gallery)]
    found += _between(artist, two, gallery) if two else []
    verdicts = tuple(verdict for _, verdict in found if verdict)
    return [Section("gates", "Gates", joined(part for part, _ in found), verdicts)] if found else []


def _check(artist: Artist, path: Path, gallery: Gallery) -> Iterator[Part]:
    """The judgement of a file of a check; nothing for another file, and where no sidecar says that it is of one."""
    try:
        found = check_in(path) if goal_of(path) else None
    except UsageError:
        return
    if found:
        part, verdict = _part(artist, readable(path.name), found, gallery)
        yield part, (f"{readable(path.name)}: {verdict[0]}", verdict[1]) if verdict else None


def _between(artist: Artist, two: Sequence[Path], gallery: Gallery) -> Iterator[Part]:
    base, candidate = two
    try:
        found = judge_between([base], [candidate])
    except UsageError as error:
        yield tag("p", f"No judgement of {readable(candidate.name)} against {readable(base.name)}: {error}"), None
    else:
        name = f"{readable(candidate.name)} against {readable(base.name)}"
        yield _part(artist, name, found, gallery, other_libraries([base], [candidate]))


def _part(artist: Artist, name: str, found: Judgement, gallery: Gallery, notes: Sequence[str] = ()) -> Part:
    page = report.page(found)
    charts = [
        gallery.add(artist, _chart(artist.looks, gallery, group, found)) for group in report.by_table(found).values()
    ]
    is_bad = found.code is not Exit.FINE
    result = tag("p", page.result, class_="bad" if is_bad else None)
    code = tag("p", f"collbench check exits with {int(found.code)}.", class_="note")
    part = joined([tag("h3", name), result, code, notes_html(notes_of(notes)), *charts, page_html(page)])
    return part, (page.result, is_bad) if found.code is not Exit.USAGE else None


def _chart(looks: Looks, gallery: Gallery, group: Sequence[Judged], found: Judgement) -> Chart:
    """Changes with their intervals over size, those of each verdict in its look."""
    backend = "" if found.rule else f" of {group[0].record.backend}"
    title = f"{found.candidate} against {found.base}{backend}: {title_of(group[0].record)}"
    margin = _margin(group)
    pane = Pane("change of latency (%)", "%", "change", _lines(looks, group), interval="interval", bars=True, log=False,
                rules=(0,), shade=(below(margin), margin), least=(-1.5 * margin, 1.5 * margin))  # fmt: skip
    crosses = f" {CROSS}" if any(each.finding.change is None for each in group) else ""
    axis = Axis("size of the message", "log", tuple((size, format_size(size)) for size in _sizes(group)))
    return Chart(gallery.name(), title, axis, {"": [pane]}, f"{READING}{crosses}")


def _margin(group: Sequence[Judged]) -> float:
    """The largest margin in per cent; a size without a base has none."""
    return max((each.finding.margin for each in group if math.isfinite(each.finding.margin)), default=0.0)


def _sizes(group: Sequence[Judged]) -> list[int]:
    return sorted({each.record.bytes for each in group})


def _lines(looks: Looks, group: Sequence[Judged]) -> list[Line]:
    changes = (abs(each.finding.change.value) for each in group if each.finding.change)
    most = BEYOND * max([_margin(group), *changes])
    verdicts = dict.fromkeys(str(each.finding.verdict) for each in group)
    return [
        Line(verdict, looks.place(LOOKS.get(verdict, (GREY, "s"))),
             [_point(each, most) for each in group if str(each.finding.verdict) == verdict])
        for verdict in verdicts
    ]  # fmt: skip


def _point(each: Judged, most: float) -> Point:
    """A case; its bar ends at ``most`` per cent, what is said of it does not."""
    finding, change = each.finding, each.finding.change
    words = f"{finding.verdict}{f': {finding.reason}' if finding.reason else ''}"
    if change is None:
        return Point(each.record.bytes, None, words=words)
    ends = (max(change.low, -most), min(change.high, most))
    return Point(each.record.bytes, change.value, *ends, finding.launches, words, (change.low, change.high))
