"""What the charts of a machine share: the runs, the options of a user, the styles of backends, titles and feet."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collbench.results.facts import Facts
from collbench.results.mismatch import mismatch_of
from collbench.results.panels import Panel, panel_of, rows_of
from collbench.results.records import Record
from collbench.views import footing, groups, page
from collbench.views.groups import Groups, Sides, rows_in
from collbench.views.machines import apart, machine_of_run, unlike, unlike_backends
from collbench.views.multicast import remark
from collbench.views.naming import readable, stem_of, suffixes
from collbench.views.numbers import Group
from collbench.views.origins import origin_of
from collbench.views.page import Frame, Page
from collbench.views.palette import Style, styles
from collbench.views.runs import Run
from collbench.views.titles import title_of

ORDER = ("before", "after")  # what two runs are called


@dataclass(frozen=True)
class ChartOptions:
    """What a user chooses of the charts: the reference of speed-ups, a title instead of ours, the page."""

    baseline: str | None = None
    title: str = ""
    page: Page = page.SCREEN


DEFAULTS = ChartOptions()


@dataclass(frozen=True)
class ChartSet:
    """What all charts of a machine share: runs, options, the styles of backends, and where there are charts of other
    machines, this one in words."""

    runs: Sequence[Run]
    options: ChartOptions
    styles: Mapping[str, Style]
    machine: str = ""

    @property
    def are_two(self) -> bool:
        """Whether there are a run before and a run after a change."""
        return len(self.runs) > 1

    @functools.cached_property
    def facts(self) -> Mapping[Record, Facts]:
        """The facts of the rows of all runs."""
        return {row: facts for run in self.runs for row, facts in run.facts.items()}

    @functools.cached_property
    def panels(self) -> Groups:
        """The cases of each panel, without those of late ranks and of pairs of hosts."""
        return groups.by_panel([[row for row in run.records if not row.pair and not row.skew] for run in self.runs])

    @functools.cached_property
    def unlike(self) -> list[str]:
        """That two runs are of different machines, if they are."""
        return unlike(dict(zip(ORDER, map(machine_of_run, self.runs), strict=True))) if self.are_two else []

    def dashed(self, place: int) -> bool:
        """Whether the lines of the run at ``place`` are dashed: those of the first of two."""
        return self.are_two and place == 0

    def frame(self, sides: Sides, reading: str, heading: str = "") -> Frame:
        """The frame around these cases; ``reading`` says how to read them, ``heading`` is put before the title."""
        title = heading + title_of(rows_in(sides), self.facts)
        said = [f"{title}."] if self.options.title else []
        said += [f"Measured on {self.machine}; unlike machines have charts of their own."] if self.machine else []
        named = [(name, side) for name, side in zip(self._names(sides), sides, strict=True) if side]
        foot = [
            *said,
            *(f"{name}{_source(side, self.facts)}" for name, side in named),
            reading,
            *footing.remark(rows_in(sides)),
            *remark(rows_in(sides)),
        ]
        whole = self.options.title or title
        words = "\n".join(foot).replace("'s t,", f"'s{page.KEPT}t,")
        within = [words for side in sides for words in unlike_backends(rows_of(side), self.facts)]
        warning = " ".join([*self.unlike, *dict.fromkeys(within), *_mismatches(sides)])
        return Frame(whole, words, self.styles, warning, self.options.page, self._names_of_runs(sides))

    def _names_of_runs(self, sides: Sides) -> tuple[str, ...]:
        return tuple(name.removesuffix(": ") for name in self._names(sides)) if self.are_two else ()

    def _names(self, sides: Sides) -> list[str]:
        """What precedes the source of each side: nothing, or its place in time and its file."""
        if not self.are_two:
            return [""]
        stems = [stem_of(run.files[row] for row in run.records if row in run.files) for run in self.runs]
        files = [f" ({readable(stem)})" if stem and stems[0] != stems[1] else "" for stem in stems]
        return [f"{when}{file}: " for when, file in zip(ORDER, files, strict=True)]


def _source(side: Group, facts: Mapping[Record, Facts]) -> str:
    counts = Counter(case.status for case in side if not case.timed)
    missing = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{origin_of(rows_of(side), facts)}{f' · cases without a number: {missing}' if missing else ''}"


def _mismatches(sides: Sides) -> list[str]:
    """Why a comparison of these cases is not meaningful, for each panel of one run, or of two together."""
    parts: dict[Panel, list[tuple[str, Record]]] = {}
    for when, side in zip(ORDER, sides, strict=False):
        for row in rows_of(side):
            name = f"{row.backend} ({when})" if len(sides) > 1 else row.backend
            parts.setdefault(panel_of(row), []).append((name, row))
    return list(dict.fromkeys(filter(None, map(mismatch_of, parts.values()))))


def chart_sets(runs: Sequence[Run], options: ChartOptions, names: Iterable[str]) -> dict[str, ChartSet]:
    """What the charts of each machine share, by the end of the names of its charts."""
    machines, looks = apart(runs), styles(names)
    if len(machines) == 1:
        return {"": ChartSet(runs, options, looks)}
    ends = suffixes([(machine or "unknown",) for machine in machines])
    return {
        end: ChartSet(some, options, looks, machine or "a machine that is not known")
        for end, (machine, some) in zip(ends, machines.items(), strict=True)
    }
