"""Figures from records: the selection of charts, their numbers, titles and file names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from collbench.errors import UsageError, pick
from collbench.plan.layout import VIRTUAL
from collbench.results.cases import LATENCY, CaseResult, cases, median_over
from collbench.results.mismatch import mismatches
from collbench.results.pairs import Fastest, fastest
from collbench.results.panels import labels_of, panels, rows_of
from collbench.results.records import Record
from collbench.views import drawing, link_chart, speedups, tiles, winners
from collbench.views.comparison import default_baseline
from collbench.views.drawing import Curve, Frame
from collbench.views.multicast import remark
from collbench.views.naming import Words, stem_of, suffixes, words_of
from collbench.views.tiles import Win

Group = list[CaseResult]
Groups = dict[Words, Group]  # the cases of each chart of a kind, by the words for its file name
Styles = Mapping[str, drawing.Style]
Cells = Mapping[tuple[str, int], CaseResult]  # the case behind one point, by backend and size or ranks
MIB = 1 << 20
# How to read each kind of chart, for its foot.
LATENCIES = "Median over launches of each launch's median; bands: 5th to 95th percentile of the iterations of a launch."
BANDWIDTH = "Median over launches of each launch's bus bandwidth, as nccl-tests defines it."
LEAD = "Number: time of the next best over that of the best; only: no other; -: none was timed."
COLOURS = "Grey: none was timed."


def _cells(group: Iterable[CaseResult], x: str = "bytes") -> Cells:
    return {(case.record.backend, getattr(case.record, x)): case for case in group if case.timed}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _curve(cells: Cells, name: str, xs: Sequence[int], field: str) -> list[float]:
    found = (cells.get((name, x)) for x in xs)
    return [_number(case.median(field) if case else None) for case in found]


def _names(cells: Cells) -> list[str]:
    return sorted({name for name, _ in cells})


def _latency(cells: Cells, xs: Sequence[int]) -> list[Curve]:
    fields = (LATENCY, "latency_us_p05", "latency_us_p95")
    return [Curve(name, xs, *(_curve(cells, name, xs, field) for field in fields)) for name in _names(cells)]


def _bandwidth(cells: Cells, xs: Sequence[int]) -> list[Curve]:
    curves = (Curve(name, xs, _curve(cells, name, xs, "busbw_gb_s")) for name in _names(cells))
    return [curve for curve in curves if _has_numbers(curve)]


def _has_numbers(curve: Curve) -> bool:
    return any(map(math.isfinite, curve.y))


def _bounds(group: Group, sizes: Sequence[int]) -> list[Curve]:
    rows = rows_of(group)
    y = [_number(median_over((row for row in rows if row.bytes == size), "bound_us")) for size in sizes]
    return [curve for curve in [Curve("lower bound", sizes, y)] if _has_numbers(curve)]


def _same(values: Iterable[str]) -> str:
    """The common value, or "" if values differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else ""


def _listed(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return ", ".join(map(str, found)) if len(found) <= 4 else f"{found[0]} to {found[-1]}"


def _title(group: Group) -> str:
    """The columns that the cases share, worded as in `panels.title_of`; ranks and nodes are listed."""
    rows = rows_of(group)
    first = rows[0]
    nodes = _listed(row.nodes for row in rows)
    virtual = "virtual " if first.fabric.endswith(VIRTUAL) else ""
    ranks = _listed(row.ranks for row in rows)
    where = f"{ranks} rank{'s' * (ranks != '1')} on {nodes} {virtual}node{'s' * (nodes != '1')}"
    what = [first.collective, _same(row.dtype for row in rows), first.op]
    how = [_same(row.mode for row in rows), "cold" if first.cache == "cold" else ""]
    parts = [*what, f"{where} ({first.fabric})", *how, "in place" if first.in_place else ""]
    return " · ".join(filter(None, parts))


def _missing(group: Group) -> str:
    """The number of cases without a latency, by status."""
    counts = Counter(case.status for case in group if not case.timed)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _foot(group: Group, reading: str) -> str:
    """The source of the numbers, then ``reading``: how to read them."""
    rows = rows_of(group)
    runs = sorted({row.run_id for row in rows})
    launches = len({(row.run_id, row.launch) for row in rows})
    more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    source = f"run {', '.join(runs[:3])}{more} · {launches} launch{'es' * (launches > 1)}"
    missing = _missing(group)
    missed = f" · cases without a number: {missing}" if missing else ""
    return "\n".join([f"{source}{missed}", reading, *remark(rows)])


def _warning(group: Group) -> str:
    """Why a comparison of these cases is not meaningful, or ""."""
    return " ".join(mismatches(map(rows_of, panels(group).values())))


def _words_but(case: CaseResult, **same: Any) -> Words:
    """The words of a case, with ranks, nodes and the columns in ``same`` replaced by constants."""
    return words_of(replace(case.record, ranks=0, nodes=0, gpus_per_node=0, **same))


def _by_panel(records: Iterable[Record]) -> Groups:
    """Panels with a latency."""
    return {words_of(group[0].record): group for group in panels(cases(records)).values() if _cells(group)}


def _families(panel_groups: Groups) -> Groups:
    """Panels that differ only in ranks, grouped by number of nodes and by ranks per node."""
    found: Groups = {}
    for group in panel_groups.values():
        rest, first = _words_but(group[0]), group[0].record
        found.setdefault((*rest, f"{first.nodes}n"), []).extend(group)
        if first.gpus_per_node is not None:
            found.setdefault((*rest, f"{first.gpus_per_node}each"), []).extend(group)
    return {key: group for key, group in found.items() if _scaling_sizes(group)}


def _maps(panel_groups: Groups) -> Groups:
    """Panels that differ only in type, mode, ranks and nodes, if two backends were timed on one of them."""
    found: Groups = {}
    for group in panel_groups.values():
        found.setdefault(_words_but(group[0], dtype="", mode=""), []).extend(group)
    return {key: group for key, group in found.items() if any(_is_contest(some) for some in panels(group).values())}


def _is_contest(group: Group) -> bool:
    return len(_names(_cells(group))) > 1


def _sizes(group: Iterable[CaseResult]) -> list[int]:
    return sorted({case.record.bytes for case in group})


def _of_size(group: Group, size: int) -> Group:
    return [case for case in group if case.record.bytes == size]


def _scaling_sizes(group: Group) -> list[int]:
    """Of the sizes timed on several numbers of ranks: the smallest, the middle one, the largest, and 1 MiB."""
    ranks = {size: {ranks for _, ranks in _cells(_of_size(group, size), "ranks")} for size in _sizes(group)}
    sizes = [size for size, some in ranks.items() if len(some) > 1]
    wanted = {sizes[0], sizes[len(sizes) // 2], sizes[-1], MIB} if sizes else set()
    return [size for size in sizes if size in wanted]


def _latency_chart(group: Group, styles: Styles, baseline: str | None) -> Figure:
    sizes, cells = _sizes(group), _cells(group)
    base = baseline or default_baseline(_names(cells)) or ""
    found = speedups.speedups(cells, base)
    foot = _foot(group, "\n".join(filter(None, [LATENCIES, speedups.reading(found)])))
    frame = Frame(_title(group), foot, styles, _warning(group))
    below = speedups.curves(found, sizes)
    return drawing.latency_chart(frame, _latency(cells, sizes), _bounds(group, sizes), below, base)


def _bandwidth_chart(group: Group, styles: Styles) -> Figure:
    frame = Frame(_title(group), _foot(group, BANDWIDTH), styles, _warning(group))
    return drawing.bandwidth_chart(frame, _bandwidth(_cells(group), _sizes(group)))


def _scaling_chart(group: Group, styles: Styles) -> Figure:
    sizes, ranks = _scaling_sizes(group), sorted({case.record.ranks for case in group})
    shown = [case for case in group if case.record.bytes in sizes]
    cells = {size: _cells(_of_size(shown, size), "ranks") for size in sizes}
    frame = Frame(_title(group), _foot(shown, LATENCIES), styles, _warning(shown))
    nodes = {case.record.ranks: case.record.nodes for case in shown}
    differing = nodes if len(set(nodes.values())) > 1 else {}
    return drawing.scaling_chart(frame, {size: _latency(cells[size], ranks) for size in sizes}, differing)


def _wins(rows: Sequence[Group], sizes: Sequence[int]) -> dict[tuple[int, int], Fastest]:
    """The fastest of each tile, by row and column."""
    return {(row, sizes.index(size)): found for row, group in enumerate(rows) for size, found in fastest(group).items()}


def _win(found: Fastest, among_verdicts: bool) -> Win:
    return Win(found.best.record.backend, found.lead, winners.mark(found, among_verdicts))


def _order(row: Group) -> tuple[str, str, int, int]:
    first = row[0].record
    return first.mode, first.dtype, first.nodes, first.ranks


def _best_chart(group: Group, styles: Styles) -> Figure:
    rows = sorted(panels(group).values(), key=_order)
    sizes = _sizes(group)
    rivals = sorted({name for row in rows for name in _names(_cells(row))})
    first = [row[0].record for row in rows]
    labels = [words or f"{record.ranks} ranks" for words, record in zip(labels_of(first), first, strict=True)]
    wins = _wins(rows, sizes)
    reading = _reading_of_map(wins.values(), tiles.grid_of(labels, len(sizes)).has_numbers)
    foot = _foot(group, f"Compared: {', '.join(rivals)}. {reading}")
    heading = winners.heading(wins.values(), "Fastest backend").capitalize()
    frame = Frame(f"{heading} · {_title(group)}", foot, styles, _warning(group))
    among_verdicts = winners.has_verdicts(wins.values())
    return tiles.best_chart(frame, labels, sizes, {at: _win(found, among_verdicts) for at, found in wins.items()})


def _reading_of_map(found: Iterable[Fastest], has_numbers: bool) -> str:
    marks = ("≈ and pale", "? and pale") if has_numbers else ("pale", "also pale")
    return " ".join([LEAD if has_numbers else COLOURS, *winners.reading(found, "row", *marks)])


def _link_chart(group: Group, styles: Styles) -> Figure:
    title = f"{group[0].record.backend} · {_title(group)}"
    return link_chart.chart(Frame(title, _foot(group, link_chart.READING), styles), group)


def _kinds(
    panel_groups: Groups, links: Groups, styles: Styles, baseline: str | None
) -> Iterator[tuple[str, Groups, Callable[[Group], Figure]]]:
    """Every kind of chart: its name, the cases of each chart, and the function that draws one."""
    wide = {key: group for key, group in panel_groups.items() if _bandwidth(_cells(group), _sizes(group))}
    yield "latency", panel_groups, lambda group: _latency_chart(group, styles, baseline)
    yield "bandwidth", wide, lambda group: _bandwidth_chart(group, styles)
    yield "scaling", _families(panel_groups), lambda group: _scaling_chart(group, styles)
    yield "best", _maps(panel_groups), lambda group: _best_chart(group, styles)
    yield "pairs", links, lambda group: _link_chart(group, styles)


@dataclass(frozen=True)
class Chart:
    """A figure; ``name`` is its kind and the words that distinguish it from others of the kind, ``rows`` its cases'."""

    name: str
    figure: Figure
    rows: tuple[Record, ...]


def charts(records: Sequence[Record], baseline: str | None = None) -> Iterator[Chart]:
    """Every chart of the records.

    Speed-ups are over ``baseline``, or NCCL, else MPI, else the first backend by name. Raises UsageError if nothing was
    timed, and for a baseline without records. Consume it within ``drawing.look()``, which sets the style.
    """
    panel_groups = _by_panel(record for record in records if not record.pair)
    links = link_chart.groups(records)
    if not (panel_groups or links):
        raise UsageError("no case in these results has a latency to draw; see the columns status and reason.")
    names = {record.backend for record in records if not record.is_job}
    chosen = pick("backend", baseline, names) if baseline else None
    for kind, groups, draw in _kinds(panel_groups, links, drawing.styles(names), chosen):
        for suffix, group in zip(suffixes(list(groups)), groups.values(), strict=True):
            yield Chart(f"{kind}{suffix}", draw(group), tuple(rows_of(group)))


def draw_all(
    records: Sequence[Record], folder: Path, sources: Mapping[Record, Path], baseline: str | None
) -> list[Path]:
    """Draw every chart of the records into ``folder``, as PNG and SVG files; returns their paths.

    Each is named after the files of its rows, from ``sources``.

    Raises UsageError as ``charts`` does and if the folder cannot be written, and OutputError on a full disk.
    """
    paths: list[Path] = []
    with drawing.look():
        for chart in charts(records, baseline):
            paths += drawing.save(chart.figure, folder / f"{stem_of(sources[row] for row in chart.rows)}-{chart.name}")
    return paths
