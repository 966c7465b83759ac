"""Figures from records: which charts there are, and what each of them shows and says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from collbench.errors import UsageError
from collbench.results.best import check_name
from collbench.results.pairs import Fastest, fastest
from collbench.results.panels import labels_of, panels, rows_of
from collbench.results.records import Record
from collbench.results.verdicts import RUNS_DIFFER
from collbench.views import (
    coverage,
    footing,
    groups,
    lines,
    link_chart,
    numbers,
    page,
    skew_chart,
    speedups,
    tiles,
    winners,
)
from collbench.views.chart_set import DEFAULTS, ChartOptions, ChartSet, chart_sets
from collbench.views.comparison import default_baseline
from collbench.views.curves import Curve, Flaw
from collbench.views.groups import Groups, Sides, every, rows_in
from collbench.views.lines import Lines, Speedups
from collbench.views.naming import stem_of, suffixes
from collbench.views.numbers import Cells, Group, cells_of, names_of_cells, of_size, sizes_of
from collbench.views.runs import Run
from collbench.views.tiles import Win

# How to read each kind of chart, for its foot.
LATENCIES = "Median over launches of each launch's median; band or bar: 5th to 95th percentile of its samples."
FOREIGN = "Median over launches; band or bar: 5th to 95th percentile of a launch's samples, where these are known."
BANDWIDTH = "Median over launches of each launch's bus bandwidth, as nccl-tests defines it."
PEAKS = "Peak: data sheet, out of one GPU; reduction in the switch may exceed it."
FLAWED = "Marks of cases without a latency: size and backend; their height has no meaning."
LEAD = "Number: time of the next best over that of the best; only: no other; -: none was timed."
COLOURS = "Grey: none was timed."


def _flawed(sides: Sides) -> list[str]:
    """How to read the marks of cases that were wrong, failed or timed out, if there are any."""
    return [FLAWED] if any(case.is_bad for case in every(sides)) else []


def _lines(shared: ChartSet, sides: Sides, x: str, draw: Callable[[Cells, Sequence[int], bool], list[Curve]]) -> Lines:
    """The lines of all runs over the column ``x``, each over the places of its run, where it may have gaps."""
    curves: list[Curve] = []
    flaws: list[Flaw] = []
    for place, side in enumerate(sides):
        places = sorted({getattr(case.record, x) for case in side})
        curves += draw(cells_of(side, x), places, shared.dashed(place))
        flaws += numbers.flaws(side, x, shared.dashed(place))
    return Lines(curves, flaws)


def _speedups(shared: ChartSet, sides: Sides) -> tuple[Speedups, str]:
    """The lower panel, and how to read it: over a baseline, or of two runs over the first."""
    sizes = sorted(set.intersection(*(set(sizes_of(side)) for side in sides)))
    if shared.are_two:
        found = speedups.gains(cells_of(sides[0]), cells_of(sides[1]))
        words = f"{speedups.reading(found)}\n{' '.join(coverage.OTHER_RUNS.split())}" if found else ""
        return Speedups(speedups.curves(found, sizes), "speed-up over before", 1 + RUNS_DIFFER), words
    cells = cells_of(sides[0])
    base = shared.options.baseline or default_baseline(names_of_cells(cells)) or ""
    found = speedups.speedups(cells, base)
    parts = filter(None, [speedups.reading(found), *speedups.choices(cells, base)])
    return Speedups(speedups.curves(found, sizes), f"speed-up over {base}"), "\n".join(parts)


def latencies_words(sides: Sides) -> str:
    """How to read latencies; those of other tools are no medians over samples."""
    return FOREIGN if footing.has_foreign(rows_in(sides)) else LATENCIES


def _latency_chart(shared: ChartSet, sides: Sides) -> Figure:
    below, words = _speedups(shared, sides)
    frame = shared.frame(sides, "\n".join(filter(None, [latencies_words(sides), words, *_flawed(sides)])))
    bounds = numbers.bounds(rows_in(sides), sizes_of(every(sides)))
    return lines.latency_chart(frame, _lines(shared, sides, "bytes", numbers.latencies), bounds, below)


def _bandwidth_chart(shared: ChartSet, sides: Sides) -> Figure:
    peaks = numbers.peaks(rows_in(sides), shared.facts)
    reading = f"{BANDWIDTH} {PEAKS}" if peaks else BANDWIDTH
    frame = shared.frame(sides, "\n".join([reading, *_flawed(sides)]))
    return lines.bandwidth_chart(frame, _lines(shared, sides, "bytes", numbers.bandwidths), peaks)


def _scaling_chart(shared: ChartSet, sides: Sides) -> Figure:
    sizes = groups.scaling_sizes(every(sides))
    shown = tuple([case for case in side if case.record.bytes in sizes] for side in sides)
    by_size = {
        size: _lines(shared, tuple(of_size(side, size) for side in shown), "ranks", numbers.latencies) for size in sizes
    }
    nodes = {case.record.ranks: case.record.nodes for case in every(shown)}
    differing = nodes if len(set(nodes.values())) > 1 else {}
    frame = shared.frame(shown, "\n".join([latencies_words(shown), *_flawed(shown)]))
    return lines.scaling_chart(frame, by_size, differing)


def _wins(rows: Sequence[Group], sizes: Sequence[int]) -> dict[tuple[int, int], Fastest]:
    """The fastest of each tile, by row and column."""
    return {(row, sizes.index(size)): found for row, group in enumerate(rows) for size, found in fastest(group).items()}


def _win(found: Fastest, among_verdicts: bool) -> Win:
    return Win(found.best.record.backend, found.lead, winners.mark(found, among_verdicts))


def _order(row: Group) -> tuple[str, str, int, int]:
    first = row[0].record
    return first.mode, first.dtype, first.nodes, first.ranks


def _best_chart(shared: ChartSet, sides: Sides) -> Figure:
    rows = sorted(panels(every(sides)).values(), key=_order)
    sizes = sizes_of(every(sides))
    rivals = sorted({name for row in rows for name in names_of_cells(cells_of(row))})
    first = [row[0].record for row in rows]
    labels = [words or f"{record.ranks} ranks" for words, record in zip(labels_of(first), first, strict=True)]
    wins = _wins(rows, sizes)
    among_verdicts = winners.has_verdicts(wins.values())
    reading = _reading_of_map(wins.values(), tiles.grid_of(labels, len(sizes), shared.options.page).has_numbers)
    heading = winners.heading(wins.values(), "Fastest backend").capitalize()
    frame = shared.frame(sides, f"Compared: {', '.join(rivals)}. {reading}", f"{heading}: ")
    return tiles.best_chart(frame, labels, sizes, {at: _win(found, among_verdicts) for at, found in wins.items()})


def _reading_of_map(found: Iterable[Fastest], has_numbers: bool) -> str:
    marks = ("≈, striped", "?, dotted") if has_numbers else ("striped", "dotted")
    return " ".join([LEAD if has_numbers else COLOURS, *winners.reading(found, "row", *marks)])


def _link_chart(shared: ChartSet, sides: Sides) -> Figure:
    group = every(sides)
    frame = shared.frame(sides, link_chart.READING, f"{group[0].record.backend}: ")
    return link_chart.chart(frame, group)


def _skew_chart(shared: ChartSet, sides: Sides) -> Figure:
    frame = shared.frame(sides, "\n".join([skew_chart.reading(sides), *_flawed(sides)]), skew_chart.heading(sides))
    return skew_chart.chart(frame, sides)


def _kinds(shared: ChartSet) -> Iterator[tuple[str, Groups, Callable[[ChartSet, Sides], Figure]]]:
    """Every kind of chart: its name, the cases of each chart, and the function that draws one. There is no map of two
    runs: it would show who is the fastest in each, not what changed."""
    shown = shared.panels
    wide = {key: sides for key, sides in shown.items() if _lines(shared, sides, "bytes", numbers.bandwidths).curves}
    yield "latency", shown, _latency_chart
    yield "bandwidth", wide, _bandwidth_chart
    yield "scaling", groups.families(shown), _scaling_chart
    yield "best", {} if shared.are_two else groups.maps(shown), _best_chart
    yield "skew", skew_chart.groups([run.records for run in shared.runs]), _skew_chart
    yield "pairs", link_chart.groups([run.records for run in shared.runs]), _link_chart


@dataclass(frozen=True)
class Chart:
    """A figure; ``name`` is its kind and the words that distinguish it from others of the kind, ``sides`` its cases'
    rows in each run."""

    name: str
    figure: Figure
    sides: tuple[tuple[Record, ...], ...]


def charts(runs: Sequence[Run], options: ChartOptions = DEFAULTS) -> Iterator[Chart]:
    """Every chart of a run, or of two: the first before and the second after a change. Unlike machines in a run have
    charts of their own.

    Speed-ups are over the baseline, which is NCCL, else MPI, else the first backend by name, or of two runs over the
    first one. Raises UsageError if nothing was timed, and for a baseline without records. Consume it within
    ``page.look()``, which sets the style.
    """
    names = {record.backend for run in runs for record in run.records if not record.is_job}
    sets = chart_sets(runs, options, names)
    if not any(of_kind for shared in sets.values() for _, of_kind, _ in _kinds(shared)):
        raise UsageError("no case in these results has a latency to draw; see the columns status and reason.")
    if options.baseline:
        check_name(options.baseline, names)
    for machine, shared in sets.items():
        for kind, of_kind, draw in _kinds(shared):
            for suffix, sides in zip(suffixes(list(of_kind)), of_kind.values(), strict=True):
                rows = tuple(tuple(rows_of(side)) for side in sides)
                yield Chart(f"{kind}{suffix}{machine}", draw(shared, sides), rows)


def draw_all(
    runs: Sequence[Run], folder: Path, options: ChartOptions, formats: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Draw every chart of the runs into ``folder``, in each of ``formats``; returns the paths. Each is named after the
    files of its rows.

    Raises UsageError as ``charts`` does and if the folder cannot be written, and OutputError on a full disk.
    """
    paths: list[Path] = []
    with page.look(options.page):
        for chart in charts(runs, options):
            files = (run.files[row] for run, rows in zip(runs, chart.sides, strict=True) for row in rows)
            paths += page.save(chart.figure, folder / f"{stem_of(files)}-{chart.name}", formats)
    return paths
