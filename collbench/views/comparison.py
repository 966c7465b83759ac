"""Ratios between two backends of one run, or between two runs: who is slower, by how much, how sure."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collbench.errors import UsageError, pick
from collbench.plan.sizes import format_size
from collbench.results.mismatch import mismatch_of
from collbench.results.panels import median_us, title_of
from collbench.results.records import Record
from collbench.results.statistics import Ratio, Timing, ratio, unpaired_ratio
from collbench.tables import Table, aligned, markdown, show_us

BASELINES = ("nccl", "mpi")
Key = tuple[object, ...]


@dataclass(frozen=True)
class Comparison:
    """One case on two sides. ``record`` is a row of side a; medians over launches are in microseconds; ``paired`` sides
    ran together, launch by launch; ``mismatch`` says what makes the ratio worthless."""

    record: Record
    a: str
    b: str
    a_us: float
    b_us: float
    ratio: Ratio
    paired: bool = True
    mismatch: str = ""


def default_baseline(names: Iterable[str]) -> str | None:
    """The backend that others are measured against: NCCL, else MPI, else the first by name."""
    have = sorted(names)
    return next((name for name in BASELINES if name in have), have[0] if have else None)


def _timings(records: Iterable[Record], with_backend: bool) -> dict[Key, list[Record]]:
    """Rows with a latency by case, in the order of their launches."""
    found: dict[Key, list[Record]] = {}
    records = sorted(records, key=lambda record: record.launch)
    wrong = {record.identity for record in records if record.status == "wrong"}
    for record in records:
        if record.latency_us_median is not None and record.identity not in wrong:
            key = record.identity if with_backend else record.identity[:-1]
            found.setdefault(key, []).append(record)
    return found


def untimed(records: Iterable[Record], names: Sequence[str]) -> list[str]:
    """What of the backends in ``names`` (all, where there are none) ended wrong, failed or hung, and so has no ratio;
    cases that cannot run are not worth a word."""
    found = [
        f"{record.backend} {format_size(record.bytes)}: {record.status} ({record.reason})"
        for record in records
        if record.status not in ("ok", "skipped") and (not names or record.backend in names)
    ]
    return list(dict.fromkeys(found))


def _timing(record: Record) -> Timing:
    middle = record.latency_us_median or 0.0
    low, high = record.latency_us_ci_low, record.latency_us_ci_high
    return Timing(middle, low if low is not None else 0.0, high if high is not None else float("inf"))


def _side(records: Sequence[Record]) -> list[Timing]:
    return [_timing(record) for record in records]


def _compare(a: str, b: str, mine: Sequence[Record], theirs: Sequence[Record], paired: bool) -> Comparison:
    """``paired``: launch i of a ran together with launch i of b; only launches that both have count then."""
    if paired:
        common = {record.launch for record in mine} & {record.launch for record in theirs}
        mine, theirs = ([r for r in side if r.launch in common] or list(side) for side in (mine, theirs))
        found = ratio(_side(mine), _side(theirs))
    else:
        found = unpaired_ratio(_side(mine), _side(theirs))
    words = mismatch_of([*((a, record) for record in mine), *((b, record) for record in theirs)])
    return Comparison(mine[0], a, b, median_us(mine) or 0.0, median_us(theirs) or 0.0, found, paired, words)


def compare_backends(records: Sequence[Record], names: Sequence[str] = ()) -> list[Comparison]:
    """Backend a against backend b, case by case; without ``names``, every other against the baseline."""
    known = {record.backend for record in records}
    for name in names:
        pick("backend", name, known)
    if len(names) not in (0, 2):
        raise UsageError(f"--backend takes two backends, A,B; {len(names)} given.")
    base = names[1] if names else default_baseline(known)
    others = [names[0]] if names else sorted(known - {base})
    sides = {name: _timings((r for r in records if r.backend == name), False) for name in known}
    return [
        _compare(name, base, mine, sides[base][key], True)
        for name in others
        if base is not None
        for key, mine in sides[name].items()
        if key in sides[base]
    ]


def compare_files(a: Sequence[Record], b: Sequence[Record], names: Sequence[str] = ()) -> list[Comparison]:
    """File a against file b, for every case that both timed."""
    for name in names:
        pick("backend", name, {record.backend for record in [*a, *b]})
    mine, theirs = _timings(a, True), _timings(b, True)
    return [
        _compare(f"{key[-1]} (A)", f"{key[-1]} (B)", records, theirs[key], False)
        for key, records in mine.items()
        if key in theirs and (not names or key[-1] in names)
    ]


def show(rows: Sequence[Comparison], form: str | None = None) -> str:
    """A titled table for each panel and pair; ``form`` may be ``markdown`` or ``json``."""
    if form == "json":
        return json.dumps([_plain(row) for row in rows], indent=1)
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for row in rows:
        groups.setdefault((title_of(row.record), row.a, row.b), []).append(row)
    drawn = markdown if form == "markdown" else aligned
    parts = [f"{title} · {a} ÷ {b}\n\n{drawn(_table(group))}" for (title, a, b), group in groups.items()]
    fewest = min(row.ratio.launches for row in rows)
    return "\n\n".join([*parts, *_warnings(rows), _caution(fewest, rows[0].paired)])


def _warnings(rows: Sequence[Comparison]) -> list[str]:
    """What makes ratios worthless, each once."""
    return list(dict.fromkeys(f"MISMATCH: {row.mismatch}" for row in rows if row.mismatch))


def _table(rows: Sequence[Comparison]) -> Table:
    table = [["size", f"{rows[0].a} µs", f"{rows[0].b} µs", "ratio", "95 % interval", f"{rows[0].a} is"]]
    for row in sorted(rows, key=lambda row: row.record.bytes):
        interval = f"{row.ratio.low:.3f} to {row.ratio.high:.3f}"
        cells = [
            format_size(row.record.bytes),
            show_us(row.a_us),
            show_us(row.b_us),
            f"{row.ratio.value:.3f}",
        ]
        table.append([*cells, interval, row.ratio.verdict])
    return table


def _caution(launches: int, paired: bool) -> str:
    what = "Of several launches, the ratio is the median of their ratios.\n" if paired else ""
    if launches >= 6:
        return f"{what}Intervals over {launches} launches hold for another launch too."
    times = f"{launches} launch{'es' if launches > 1 else ''}"
    return f"{what}Intervals inside {times}: another may differ by more than they say, six (--launches 6) tell."


def _plain(row: Comparison) -> dict[str, object]:
    names = ("collective", "dtype", "op", "bytes", "ranks", "nodes", "fabric", "mode", "in_place")
    case = {name: getattr(row.record, name) for name in names}
    found = dataclasses.asdict(row.ratio)
    return {
        **case,
        "a": row.a,
        "b": row.b,
        "a_us": row.a_us,
        "b_us": row.b_us,
        **found,
        "high": row.ratio.high if math.isfinite(row.ratio.high) else None,
        "verdict": row.ratio.verdict,
        "mismatch": row.mismatch or None,
    }
