"""The sections of a report about measured cases: what was concluded, panels with charts and tables, other tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from collbench.report.charts import Chart, figure_html
from collbench.report.curves import Artist
from collbench.report.late import late_chart
from collbench.report.markup import Html, joined, tag
from collbench.report.panels import panel_chart, scaling_chart
from collbench.report.tables import notes_html, page_html
from collbench.results.cases import CaseResult, cases
from collbench.results.mismatch import mismatches
from collbench.results.panels import Panel, panel_of, panels, rows_of
from collbench.results.panels import title_of as title_of_panel
from collbench.results.records import Record, jobs
from collbench.tables import Page, notes_of
from collbench.views import coverage, footing, groups, links, ratios, skew_chart, skews, summary
from collbench.views.comparison import Comparison, Comparisons, Unjudged, compare_files, compare_with
from collbench.views.conclusions import conclusions, lines_of
from collbench.views.machines import unlike_sides
from collbench.views.naming import words_of
from collbench.views.runs import Run

SHOWN = 12  # conclusions, before the others are folded
MOST_ROWS = 10_000  # above, there are neither tables of ratios nor single launches
MANY = (
    f"More than {MOST_ROWS:,} rows: the charts have medians over launches without the launches, and ratios of each "
    "size are left out; collbench compare prints them."
)
R = TypeVar("R", Comparison, Unjudged)


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its heading, and what stands below. ``verdicts`` are sentences that belong at the
    head of the page, each with whether it is bad news."""

    anchor: str
    title: str
    body: Html
    verdicts: tuple[tuple[str, bool], ...] = ()

    def html(self) -> Html:
        """As a landmark."""
        head = tag("h2", self.title, id=f"{self.anchor}-title")
        return tag("section", head, self.body, id=self.anchor, aria_labelledby=f"{self.anchor}-title")


@dataclass
class Gallery:
    """The charts of the page so far, each with a name of its own, and how many anchors of panels begin with a word."""

    charts: dict[str, Chart] = field(default_factory=dict)
    anchors: Counter[str] = field(default_factory=Counter)

    def name(self) -> str:
        """The name of the next chart."""
        return f"chart{len(self.charts) + 1}"

    def anchor(self, word: str) -> str:
        """An anchor that no other panel has."""
        self.anchors[word] += 1
        return f"{word}{self.anchors[word]}"

    def add(self, artist: Artist, chart: Chart) -> Html:
        """The figure of a chart, which is kept."""
        self.charts[chart.name] = chart
        return figure_html(chart, artist.looks.styles)


def verdicts_section(sections: Sequence[Section]) -> list[Section]:
    """The verdicts of these sections, each with a link to its own; [] without any."""
    lines = [
        tag(
            "li", joined([tag("a", each.title, href=f"#{each.anchor}"), f": {words}"]), class_="bad" if is_bad else None
        )
        for each in sections
        for words, is_bad in each.verdicts
    ]
    return [Section("verdicts", "Verdicts", tag("ul", *lines))] if lines else []


def compared(artist: Artist, runs: Sequence[Run]) -> Comparisons:
    """The backends of one run with the baseline, or the second of two runs (A) with the first (B); pairs of hosts have
    findings of their own."""
    worlds = [[row for row in run.records if not row.pair] for run in runs]
    return compare_files(worlds[1], worlds[0]) if artist.are_two else compare_with(worlds[0], artist.baseline)


def summary_section(artist: Artist, runs: Sequence[Run], found: Comparisons) -> Section:
    """Who is faster where, by how much, and how sure that is; what did not run, and what must not be compared."""
    last = runs[-1].records
    same = "collbench compare A B has the same ratios"
    between = [f"A: {artist.runs[1]}, B: {artist.runs[0]}; {same}."] if artist.are_two else []
    alone = conclusions(last, artist.baseline)
    said = [*(lines_of(found.judged) if artist.are_two else []), *(f"{_within(artist)}{line}" for line in alone)]
    surely = coverage.reading([row.ratio for row in found.judged]) if found.judged else []
    warned = unlike_sides(runs[::-1], last)
    between_runs = [row.mismatch for row in found.judged if row.mismatch] if artist.are_two else []
    unlike_networks = mismatches(map(rows_of, panels(cases(last)).values()))
    warned += [f"MISMATCH: {words}" for words in dict.fromkeys([*between_runs, *unlike_networks])]
    ended = [f"A job did not finish: {words}" for run in runs for words in jobs(run.records)]
    alarms = _listed([*warned, *_bad(last), *ended], "bad")
    body = joined([*alarms, *_listed(said or ["There is nothing to compare: one backend was timed, or none."])])
    notes = notes_html(notes_of(between, surely, footing.remark(last)))
    return Section("summary", "Summary", joined([body, notes]))


def _within(artist: Artist) -> str:
    """What precedes a conclusion about the second of two runs alone."""
    return "within A: " if artist.are_two else ""


def _bad(records: Sequence[Record]) -> list[str]:
    """How many cases were wrong, failed or timed out, in a sentence."""
    found = [case for case in cases(records) if case.is_bad]
    kinds = sorted({case.status for case in found})
    called = {"timeout": "timed out"}
    parts = [f"{sum(case.status == kind for case in found)} {called.get(kind, kind)}" for kind in kinds]
    return [f"Cases without a latency: {', '.join(parts)}; the tables have the reasons."] if found else []


def _listed(lines: Sequence[str], kind: str | None = None) -> list[Html]:
    """The lines as a list, those beyond the first ones folded; [] for none."""
    first, others = (
        tag("ul", *(tag("li", line) for line in some), class_=kind) for some in (lines[:SHOWN], lines[SHOWN:])
    )
    more = len(lines) - SHOWN
    folded = [tag("details", tag("summary", f"{more} more"), others)] if more > 0 else []
    return [first, *folded] if lines else []


def results_section(artist: Artist, runs: Sequence[Run], found: Comparisons, gallery: Gallery) -> Section:
    """A part for each panel with its chart, its table and its ratios; then ranks that are late, and pairs of hosts."""
    plain = [[row for row in run.records if not row.pair and not row.skew] for run in runs]
    charts = groups.by_panel(plain)
    ratios_of = _by_panel(found) if artist.every_ratio else {}
    parts = []
    for panel, group in _panels(plain).items():
        sides = charts.get(words_of(group[0].record))
        drawn = [gallery.add(artist, panel_chart(artist, gallery.name(), sides))] if sides else []
        shown = [
            *_whose(artist, runs, group),
            page_html(summary.panel_page(group)),
            *_ratio_tables(ratios_of.get(panel)),
        ]
        parts.append(_panel(gallery.anchor("panel"), title_of_panel(group[0].record), [*drawn, *shown]))
    worlds = [_scaling(artist, sides, gallery) for sides in groups.families(charts).values()]
    others = [*_late(artist, runs, gallery), *_pairs(runs[-1].records, gallery)]
    if not [*parts, *others]:
        parts = [tag("p", "No file has a row of a case.")]
    notes = [] if artist.every_ratio else [tag("p", MANY, class_="note")]
    return Section("results", "Latency and bandwidth", joined([*notes, *parts, *worlds, *others]))


def _panels(runs: Sequence[Sequence[Record]]) -> dict[Panel, list[CaseResult]]:
    """The panels of the last run, then those that only the one before it has."""
    first, last = (panels(cases(rows)) for rows in (runs[0], runs[-1]))
    return last | {panel: group for panel, group in first.items() if panel not in last}


def _whose(artist: Artist, runs: Sequence[Run], group: Sequence[CaseResult]) -> Iterator[Html]:
    """Which of two runs the table of a panel is of."""
    if artist.are_two:
        place = int(group[0].record in runs[1].files)
        yield tag("p", f"Table: {artist.runs[place]}.", class_="note")


def _by_panel(found: Comparisons) -> dict[Panel, Comparisons]:
    """The comparisons of each panel."""
    judged, unjudged, alone = _grouped(found.judged), _grouped(found.unjudged), _grouped(found.alone)
    return {
        panel: Comparisons(tuple(judged.get(panel, ())), tuple(unjudged.get(panel, ())), tuple(alone.get(panel, ())))
        for panel in judged | unjudged | alone
    }


def _grouped(rows: Iterable[R]) -> dict[Panel, list[R]]:
    found: dict[Panel, list[R]] = {}
    for row in rows:
        found.setdefault(panel_of(row.record), []).append(row)
    return found


def _ratio_tables(found: Comparisons | None) -> Iterator[Html]:
    if found:
        yield tag("details", tag("summary", "Ratios with intervals and verdicts"), page_html(ratios.page(found)))


def _panel(anchor: str, title: str, parts: Iterable[Html]) -> Html:
    head = tag("h3", title, id=f"{anchor}-title")
    return tag("article", head, *parts, class_="panel", id=anchor, aria_labelledby=f"{anchor}-title")


def _scaling(artist: Artist, sides: groups.Sides, gallery: Gallery) -> Html:
    chart = scaling_chart(artist, gallery.name(), sides)
    return _panel(f"{chart.name}-scaling", f"Over ranks: {chart.title}", [gallery.add(artist, chart)])


def _late(artist: Artist, runs: Sequence[Run], gallery: Gallery) -> list[Html]:
    """Charts of late ranks, and tables of them in the last run."""
    found = skew_chart.groups([run.records for run in runs]).values()
    drawn = [gallery.add(artist, late_chart(artist, gallery.name(), sides)) for sides in found]
    late = skews.tables(cases(row for row in runs[-1].records if row.skew))
    shown = page_html(Page(tuple(late), notes_of([skews.READING])))
    return [_panel(gallery.anchor("late"), "Late ranks", [*drawn, shown])] if late else []


def _pairs(records: Sequence[Record], gallery: Gallery) -> list[Html]:
    """Tables of pairs of hosts."""
    found = links.tables(cases(row for row in records if row.pair))
    return [_panel(gallery.anchor("pairs"), "Pairs of hosts", [page_html(Page(tuple(found)))])] if found else []
