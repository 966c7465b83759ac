"""Records to figures: which charts there are, the numbers in them, their titles and file names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure

from collbench.errors import UsageError, pick
from collbench.plan.layout import VIRTUAL
from collbench.results.mismatch import mismatches
from collbench.results.panels import panel_of, panels
from collbench.results.records import Record
from collbench.results.statistics import Ratio, Timing, ratio
from collbench.views import drawing
from collbench.views.comparison import default_baseline
from collbench.views.drawing import Curve, Frame, Win

Words = tuple[str, ...]
Group = list[Record]
Groups = dict[Words, Group]  # the records of each chart of a kind, by the words for its file name
Styles = Mapping[str, drawing.Style]
Cells = Mapping[tuple[str, int], Group]  # the launches behind one point, by backend and size or ranks
MIB = 1 << 20
# How to read each kind of chart, for its foot.
LATENCY = "Median over launches of each launch's median; bands: 5th to 95th percentile of the iterations."
BANDWIDTH = "Median over launches of each launch's bus bandwidth, as nccl-tests defines it."
LEAD = "Number: times faster than the next best; pale: its 95 % interval includes 1; only: no other; -: none was timed."


def _timed(launches: Group) -> Group:
    """The launches of one case that have a latency; none where one of them went wrong."""
    if any(record.status not in ("ok", "skipped") for record in launches):
        return []
    return [record for record in launches if record.latency_us_median is not None]


def _cells(records: Iterable[Record], x: str = "bytes") -> Cells:
    found: dict[tuple[str, int], Group] = {}
    for record in records:
        found.setdefault((record.backend, getattr(record, x)), []).append(record)
    return {key: timed for key, launches in found.items() if (timed := _timed(launches))}


def _middle(launches: Iterable[Record], field: str) -> float:
    """Median over launches; NaN where none has the number."""
    values = [value for record in launches if (value := getattr(record, field)) is not None]
    return median(values) if values else math.nan


def _curve(cells: Cells, name: str, xs: Sequence[int], field: str) -> list[float]:
    return [_middle(cells.get((name, x), ()), field) for x in xs]


def _names(cells: Cells) -> list[str]:
    return sorted({name for name, _ in cells})


def _latency(cells: Cells, xs: Sequence[int]) -> list[Curve]:
    fields = ("latency_us_median", "latency_us_p05", "latency_us_p95")
    return [Curve(name, xs, *(_curve(cells, name, xs, field) for field in fields)) for name in _names(cells)]


def _bandwidth(cells: Cells, xs: Sequence[int]) -> list[Curve]:
    curves = (Curve(name, xs, _curve(cells, name, xs, "busbw_gb_s")) for name in _names(cells))
    return [curve for curve in curves if _has_numbers(curve)]


def _has_numbers(curve: Curve) -> bool:
    return any(map(math.isfinite, curve.y))


def _bounds(records: Group, sizes: Sequence[int]) -> list[Curve]:
    y = [_middle((record for record in records if record.bytes == size), "bound_us") for size in sizes]
    return [curve for curve in [Curve("lower bound", sizes, y)] if _has_numbers(curve)]


def _timing(record: Record) -> Timing:
    low, high = record.latency_us_ci_low, record.latency_us_ci_high
    return Timing(record.latency_us_median or math.nan, low or 0.0, math.inf if high is None else high)


def _ratio(a: Group, b: Group) -> Ratio:
    """How many times slower ``a`` is than ``b``: launch against launch, in order where they share none."""
    mine, theirs = ({(record.run_id, record.launch): record for record in side} for side in (a, b))
    shared = [key for key in mine if key in theirs]
    pairs = [(mine[key], theirs[key]) for key in shared] or list(zip(a, b, strict=False))
    return ratio([_timing(x) for x, _ in pairs], [_timing(y) for _, y in pairs])


def _speedups(cells: Cells, xs: Sequence[int], baseline: str) -> list[Curve]:
    """Speed-up of every other backend over ``baseline``; none where they share no size."""

    def at(name: str, x: int) -> float:
        slow, fast = cells.get((baseline, x)), cells.get((name, x))
        return _ratio(slow, fast).value if slow and fast else math.nan

    curves = (Curve(name, xs, [at(name, x) for x in xs]) for name in _names(cells) if name != baseline)
    return [curve for curve in curves if _has_numbers(curve)]


def _same(values: Iterable[str]) -> str:
    """The one value that all have, or nothing."""
    found = set(values)
    return found.pop() if len(found) == 1 else ""


def _listed(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return ", ".join(map(str, found)) if len(found) <= 4 else f"{found[0]} to {found[-1]}"


def _title(records: Group) -> str:
    """What the records have in common, in the words of a table's title; ranks and nodes are listed."""
    first = records[0]
    nodes = _listed(record.nodes for record in records)
    virtual = "virtual " if first.fabric.endswith(VIRTUAL) else ""
    where = f"{_listed(record.ranks for record in records)} ranks on {nodes} {virtual}node{'s' * (nodes != '1')}"
    what = [first.collective, _same(record.dtype for record in records), first.op]
    how = [_same(record.mode for record in records), "cold" if first.param.get("cache") == "cold" else ""]
    parts = [*what, f"{where} ({first.fabric})", *how, "in place" if first.in_place else ""]
    return " · ".join(filter(None, parts))


def _missing(records: Group) -> str:
    """How many cases have no number, by status."""
    cases: dict[tuple[object, ...], Group] = {}
    for record in records:
        cases.setdefault((*panel_of(record), record.backend, record.bytes), []).append(record)
    empty = (sorted({r.status for r in launches} - {"ok"}) for launches in cases.values() if not _timed(launches))
    counts = Counter("/".join(statuses) for statuses in empty)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _foot(records: Group, reading: str) -> str:
    """Where the numbers come from, and how to read them."""
    runs = sorted({record.run_id for record in records})
    launches = len({(record.run_id, record.launch) for record in records})
    more = f" and {len(runs) - 3} more" if len(runs) > 3 else ""
    source = f"run {', '.join(runs[:3])}{more} · {launches} launch{'es' * (launches > 1)}"
    missing = _missing(records)
    return f"{source}{f' · cases without a number: {missing}' if missing else ''}\n{reading}"


def _warning(records: Group) -> str:
    """What makes a comparison of these records worthless."""
    return " ".join(mismatches(panels(records).values()))


def _words(record: Record) -> Words:
    """What tells the panel of a record from others, short enough for a file name."""
    cache, place = record.param.get("cache", "hot"), "inplace" if record.in_place else ""
    dtype, shape = record.dtype.replace("float", "f"), (f"{record.ranks}r", f"{record.nodes}n")
    return (record.collective, record.op, dtype, record.mode, cache, place, *shape, record.fabric)


def _suffixes(keys: Sequence[Words]) -> list[str]:
    """Endings of file names: the words in which the keys differ, numbered where two would be equal."""
    differ = [index for index, column in enumerate(zip(*keys, strict=True)) if len(set(column)) > 1]
    found: list[str] = []
    for key in keys:
        words = [re.sub(r"[^A-Za-z0-9_.-]+", "_", key[index]) for index in differ]
        name = "-".join(["", *filter(None, words)])
        found.append(name if name not in found else f"{name}-{len(found)}")
    return found


def _by_panel(records: Iterable[Record]) -> Groups:
    """Panels in which something was timed."""
    return {_words(group[0]): group for group in panels(records).values() if _cells(group)}


def _families(panel_groups: Groups) -> Groups:
    """Panels that differ in ranks alone, on as many nodes or with as many ranks on each node."""
    found: Groups = {}
    for group in panel_groups.values():
        first = group[0]
        rest = _words(replace(first, ranks=0, nodes=0))
        found.setdefault((*rest, f"{first.nodes}n"), []).extend(group)
        if first.gpus_per_node is not None:
            found.setdefault((*rest, f"{first.gpus_per_node}each"), []).extend(group)
    return {key: group for key, group in found.items() if _scaling_sizes(group)}


def _maps(panel_groups: Groups) -> Groups:
    """Panels that differ in type, mode, ranks and nodes, where two backends were timed on one of them."""
    found: Groups = {}
    for group in panel_groups.values():
        found.setdefault(_words(replace(group[0], dtype="", mode="", ranks=0, nodes=0)), []).extend(group)
    return {key: group for key, group in found.items() if any(_is_contest(some) for some in panels(group).values())}


def _is_contest(records: Group) -> bool:
    return len(_names(_cells(records))) > 1


def _sizes(records: Iterable[Record]) -> list[int]:
    return sorted({record.bytes for record in records})


def _scaling_sizes(records: Group) -> list[int]:
    """The smallest, the middle and the largest size that was timed on several numbers of ranks, and 1 MiB."""
    of_size = {size: [record for record in records if record.bytes == size] for size in _sizes(records)}
    sizes = [size for size, some in of_size.items() if len({ranks for _, ranks in _cells(some, "ranks")}) > 1]
    wanted = {sizes[0], sizes[len(sizes) // 2], sizes[-1], MIB} if sizes else set()
    return [size for size in sizes if size in wanted]


def _latency_chart(records: Group, styles: Styles, baseline: str | None) -> Figure:
    sizes, cells = _sizes(records), _cells(records)
    base = baseline or default_baseline(_names(cells)) or ""
    frame = Frame(_title(records), _foot(records, LATENCY), styles, _warning(records))
    speedups = _speedups(cells, sizes, base)
    return drawing.latency_chart(frame, _latency(cells, sizes), _bounds(records, sizes), speedups, base)


def _bandwidth_chart(records: Group, styles: Styles) -> Figure:
    frame = Frame(_title(records), _foot(records, BANDWIDTH), styles, _warning(records))
    return drawing.bandwidth_chart(frame, _bandwidth(_cells(records), _sizes(records)))


def _scaling_chart(records: Group, styles: Styles) -> Figure:
    sizes, ranks = _scaling_sizes(records), sorted({record.ranks for record in records})
    shown = [record for record in records if record.bytes in sizes]
    of_size = {size: _cells((record for record in shown if record.bytes == size), "ranks") for size in sizes}
    frame = Frame(_title(records), _foot(shown, LATENCY), styles, _warning(shown))
    nodes = {record.ranks: record.nodes for record in shown}
    told = nodes if len(set(nodes.values())) > 1 else {}
    return drawing.scaling_chart(frame, {size: _latency(cells, ranks) for size, cells in of_size.items()}, told)


def _win(cells: Cells, size: int) -> Win | None:
    field = sorted((_middle(launches, "latency_us_median"), name) for (name, x), launches in cells.items() if x == size)
    if len(field) < 2:
        return Win(field[0][1], None, True) if field else None
    first, second = (name for _, name in field[:2])
    lead = _ratio(cells[second, size], cells[first, size])
    return Win(first, max(1.0, lead.value), lead.verdict == "slower")


def _wins(rows: Sequence[Group], sizes: Sequence[int]) -> dict[tuple[int, int], Win]:
    of_row = [_cells(row) for row in rows]
    found = {(row, column): _win(cells, size) for row, cells in enumerate(of_row) for column, size in enumerate(sizes)}
    return {place: win for place, win in found.items() if win}


def _labels(rows: Sequence[Record]) -> list[str]:
    """What differs between the rows of a map; the ranks where nothing does."""
    words = [(row.mode, row.dtype, f"{row.ranks} ranks", f"{row.nodes} nodes") for row in rows]
    differ = [index for index, column in enumerate(zip(*words, strict=True)) if len(set(column)) > 1]
    return [" · ".join(row[index] for index in differ or [2]) for row in words]


def _best_chart(records: Group, styles: Styles) -> Figure:
    rows = sorted(panels(records).values(), key=lambda row: (row[0].mode, row[0].dtype, row[0].nodes, row[0].ranks))
    sizes = _sizes(records)
    rivals = sorted({name for row in rows for name in _names(_cells(row))})
    foot = _foot(records, f"Compared: {', '.join(rivals)}. {LEAD}")
    frame = Frame(f"Fastest backend · {_title(records)}", foot, styles, _warning(records))
    return drawing.best_chart(frame, _labels([row[0] for row in rows]), sizes, _wins(rows, sizes))


def _kinds(
    panel_groups: Groups, styles: Styles, baseline: str | None
) -> Iterator[tuple[str, Groups, Callable[[Group], Figure]]]:
    """Every kind of chart: its name, the records of each chart, and how one is drawn."""
    wide = {key: group for key, group in panel_groups.items() if _bandwidth(_cells(group), _sizes(group))}
    yield "latency", panel_groups, lambda group: _latency_chart(group, styles, baseline)
    yield "bandwidth", wide, lambda group: _bandwidth_chart(group, styles)
    yield "scaling", _families(panel_groups), lambda group: _scaling_chart(group, styles)
    yield "best", _maps(panel_groups), lambda group: _best_chart(group, styles)


def draw_all(records: Sequence[Record], folder: Path, stem: str, baseline: str | None) -> list[Path]:
    """Draw every chart that the records carry into ``folder``, as PNG and SVG files named from ``stem``.

    Speed-ups are over ``baseline``, or NCCL, else MPI, else the first backend by name. Raises UsageError
    where nothing was timed, for a baseline that has no record, and where the folder cannot be written.
    """
    panel_groups = _by_panel(records)
    if not panel_groups:
        raise UsageError("no case in these results has a latency to draw; their columns status and reason say why.")
    names = {record.backend for record in records if not record.is_job}
    chosen = pick("backend", baseline, names) if baseline else None
    paths: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with drawing.look():
            for kind, groups, draw in _kinds(panel_groups, drawing.styles(names), chosen):
                for suffix, group in zip(_suffixes(list(groups)), groups.values(), strict=True):
                    paths += drawing.save(draw(group), folder / f"{stem}-{kind}{suffix}")
    except OSError as error:
        raise UsageError(f"charts cannot be written to {folder}: {error.strerror}; give another -o.") from None
    return paths
