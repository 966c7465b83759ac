"""A report from files: reads them, and writes one page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from collbench.errors import UsageError
from collbench.measure.judged import goal_of
from collbench.report.curves import Artist
from collbench.report.gates import gate_section
from collbench.report.inference import inference_section, replays_section
from collbench.report.inputs import Conditions, Inputs, Warn, read_inputs
from collbench.report.looks import Looks
from collbench.report.origins import data_section, machine_section
from collbench.report.page import MARK, page_html
from collbench.report.sections import (
    MOST_ROWS,
    Gallery,
    Section,
    compared,
    results_section,
    summary_section,
    verdicts_section,
)
from collbench.report.timelines import history_section
from collbench.results.best import check_name
from collbench.results.facts import Facts
from collbench.results.records import Record
from collbench.results.selection import matcher, words_of
from collbench.results.series import series_of
from collbench.results.writing import replace_text, writing
from collbench.views.comparison import BASELINES, default_baseline
from collbench.views.history import few
from collbench.views.machines import Machines, apart
from collbench.views.naming import readable, stem_of
from collbench.views.runs import Run


@dataclass(frozen=True)
class Request:
    """What is asked for: the files, the rows of them, the page, its title, and the backend that others are compared
    with; "" for the usual ones."""

    paths: Sequence[Path]
    only: Conditions
    output: Path
    title: str = ""
    baseline: str = ""


def write_report(request: Request, warn: Warn) -> None:
    """Write the page. Raises UsageError as `read_inputs` does, where no charting library is installed, and where
    another file would be replaced; OutputError on a full disk."""
    _check_target(request.output)
    heard: dict[str, None] = {}

    def once(words: str) -> None:
        if words not in heard:
            heard[words] = None
            warn(words)

    inputs = read_inputs(request.paths, request.only, once)
    replace_text(request.output, report_html(inputs, request, once, heard))


def _check_target(path: Path) -> None:
    """Raise UsageError where ``path`` is something else than a report."""
    with writing(path):
        head = path.read_bytes()[:1000] if path.exists() else MARK.encode()
    if MARK.encode() not in head:
        raise UsageError(f"{path} exists and is not a report; give another path.")


def report_html(inputs: Inputs, request: Request, warn: Warn, warned: Iterable[str] = ()) -> str:
    """The page of these inputs, which begins with what was ``warned`` of until it is whole."""
    gallery, looks = Gallery(), Looks({row.backend for run in inputs.runs for row in run.records})
    artist = _artist(inputs, looks, request.baseline or _base_of_check(inputs))
    files, folder = inputs.files, request.output.absolute().parent
    machines = apart(inputs.runs)
    _check_baseline(inputs, artist.baseline)
    summaries, results = _of_machines(artist, machines, gallery)
    sections = [
        *summaries,
        *replays_section(inputs.replays, artist.baseline, alone=not summaries),
        *results,
        *gate_section(artist, inputs.sources, inputs.sources if len(inputs.runs) > 1 else (), gallery),
        *_history(inputs, request.only, artist, gallery),
        *inference_section(inputs.replays, machines, artist.baseline),
        machine_section(files, warn),
        data_section(files, folder),
    ]
    title = request.title or f"collbench: {_called(inputs.files)}"
    names = few([readable(path.name) for path in inputs.files], "file")
    origin = [f"{names}: {inputs.rows:,} row{'s' * (inputs.rows != 1)}"]
    if request.only:
        origin.append(f"Rows with {words_of(request.only)}; gates judge all rows of their files.")
    return page_html(
        title, origin, [*warned], [*verdicts_section(sections), *sections], [*gallery.charts.values()], looks
    )


def _base_of_check(inputs: Inputs) -> str:
    """The base of the only file, where that is of a check without one of the usual baselines; else ""."""
    names = {row.backend for run in inputs.runs for row in run.records}
    if len(inputs.sources) != 1 or default_baseline(names) in BASELINES:
        return ""
    with suppress(UsageError):
        return next((str(base) for base in [goal_of(inputs.sources[0]).get("baseline")] if base in names), "")
    return ""


def _artist(inputs: Inputs, looks: Looks, baseline: str) -> Artist:
    facts: dict[Record, Facts] = {row: each for run in inputs.runs for row, each in run.facts.items()}
    shown = sum(len(run.records) for run in inputs.runs)
    return Artist(looks, facts, _names(inputs), inputs.rows <= MOST_ROWS, shown <= MOST_ROWS, baseline)


def _check_baseline(inputs: Inputs, baseline: str) -> None:
    """Raise UsageError for a baseline that neither the last run nor a replay has."""
    replayed = {row.backend for rows in inputs.replays.values() for row in rows} - {""}
    if baseline and baseline not in replayed:
        check_name(baseline, {row.backend for run in inputs.runs[-1:] for row in run.records} | replayed)


def _of_machines(artist: Artist, machines: Machines, gallery: Gallery) -> tuple[list[Section], list[Section]]:
    """What was concluded on every machine, and what was measured there."""
    found = [_sections(artist, runs, gallery) for runs in machines.values()]
    if len(machines) > 1:
        named = zip(found, machines, strict=True)
        found = [[_of(each, name, place) for each in some] for place, (some, name) in enumerate(named, start=1)]
    return [first for first, _ in found], [second for _, second in found]


def _sections(artist: Artist, runs: Sequence[Run], gallery: Gallery) -> list[Section]:
    """The summary and the results of one machine, by the usual baseline where it has none of the name asked for."""
    mine = artist if _knows(runs, artist.baseline) else replace(artist, baseline="")
    found = compared(mine, runs)
    return [summary_section(mine, runs, found), results_section(mine, runs, found, gallery)]


def _knows(runs: Sequence[Run], baseline: str) -> bool:
    with suppress(UsageError):
        check_name(baseline, {row.backend for row in runs[-1].records})
        return True
    return False


def _of(section: Section, machine: str, place: int) -> Section:
    return replace(section, anchor=f"{section.anchor}{place}", title=f"{section.title}: {machine or 'machine unknown'}")


def _history(inputs: Inputs, only: Conditions, artist: Artist, gallery: Gallery) -> list[Section]:
    series = series_of(inputs.nights, keep=matcher(only)) if inputs.nights else []
    return [history_section(artist, series, gallery)] if series else []


def _called(files: Sequence[Path]) -> str:
    """The names of up to three files, of more the first and how many others there are."""
    stems = list(dict.fromkeys(readable(path.stem) for path in files))
    return " + ".join(stems) if len(stems) <= 3 else f"{stems[0]} and {len(stems) - 1} more files"


def _names(inputs: Inputs) -> tuple[str, str]:
    """The names of two runs: those of their files, with their order where these are alike; empty for one."""
    if len(inputs.runs) < 2:
        return "", ""
    before, after = (
        readable(stem_of(run.files[row] for row in run.records if row in run.files)) for run in inputs.runs
    )
    return (before, after) if before != after else (f"{before} (before)", f"{after} (after)")
