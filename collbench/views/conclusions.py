"""The conclusion of a run in words: which backend is faster where, and by how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from collbench.plan.sizes import format_size
from collbench.plan.skew import order
from collbench.results.panels import Panel, labels_of, panel_of
from collbench.results.records import Record
from collbench.results.verdicts import FEWEST_LAUNCHES, counted_launches
from collbench.tables import show_factor
from collbench.views import links
from collbench.views.comparison import Comparison, compare_with
from collbench.views.stragglers import straggler

SMALL = 1 << 20  # bytes; up to here latency counts for more than bandwidth
OPPOSITE = {"faster": "slower", "slower": "faster"}


def conclusions(records: Sequence[Record], baseline: str = "") -> list[str]:
    """A line for each backend and panel that compares it with the baseline, as `compare_with` has it; then
    one for the rank or host that is slowest far more often than chance, if there is one; then, of pairs of hosts, which
    host or pair is slow.

    Cases with fewer than three launches have no verdict: if there are no others, the lines give the mean ratio, and the
    last of them says so. No such lines if fewer than two backends were timed, or only over different networks.
    """
    pairs = [record for record in records if record.pair]
    worlds = [record for record in records if not record.pair]
    together = [record for record in worlds if not record.skew]
    return [*lines_of(compare_with(worlds, baseline).judged), *straggler(together), *links.findings(pairs)]


def lines_of(found: Iterable[Comparison]) -> list[str]:
    """A line for each pair of sides and panel of these comparisons, as `conclusions` has them."""
    rows = [row for row in sorted(found, key=lambda row: order(row.record.skew)) if not row.mismatch]
    sure = [row for row in rows if row.ratio.launches >= FEWEST_LAUNCHES]
    if sure or not rows:
        return _lines(sure, _line)
    launches = max(row.ratio.launches for row in rows)
    caveat = f"{counted_launches(launches)}: no verdict; use --launches {FEWEST_LAUNCHES} or more"
    return [*_lines(rows, _observed), caveat]


def _lines(rows: Sequence[Comparison], line: Callable[[Sequence[Comparison]], str]) -> list[str]:
    groups: dict[tuple[Panel, str], list[Comparison]] = {}
    for row in rows:
        groups.setdefault((panel_of(row.record), row.a), []).append(row)
    labels = _labels(row.record for row in rows)
    ordered = sorted(groups.items(), key=lambda item: list(labels).index(item[0][0]))
    return [f"{labels[panel]}{line(group)}" for (panel, _), group in ordered]


def _observed(rows: Sequence[Comparison]) -> str:
    """What few launches show, without a verdict."""
    ratio = math.exp(math.fsum(math.log(row.ratio.value) for row in rows) / len(rows))
    mean = " in the geometric mean" if len(rows) > 1 else ""
    return f"{rows[0].a} took {ratio:.2f}× the time of {rows[0].b} at {_place(rows, len(rows))}{mean}"


def _labels(records: Iterable[Record]) -> dict[Panel, str]:
    """What a line begins with in each panel: the words that tell it from the others, if there are others."""
    first: dict[Panel, Record] = {}
    for record in records:
        first.setdefault(panel_of(record), record)
    words = labels_of([*first.values()])
    return {panel: f"{label}: " if label else "" for panel, label in zip(first, words, strict=True)}


def _line(rows: Sequence[Comparison]) -> str:
    pair, count = (rows[0].a, rows[0].b), len(rows)
    won, lost, ties = (sum(row.ratio.verdict == verdict for row in rows) for verdict in ("faster", "slower", "unclear"))
    if ties == count:
        return f"{pair[0]} is indistinguishable from {pair[1]} at {_place(rows, count)}"
    direction, most, fewest = ("faster", won, lost) if won >= lost else ("slower", lost, won)
    also = f" and {OPPOSITE[direction]} at {fewest}" if fewest else ""
    tied = f"; {ties} tie{'s' * (ties != 1)}" if ties else ""
    return f"{pair[0]} is {direction} than {pair[1]} at {_place(rows, most)}{also}, {_by(rows, direction)}{tied}"


def _place(rows: Sequence[Comparison], some: int) -> str:
    if len(rows) == 1:
        return format_size(rows[0].record.bytes)
    every = "both sizes" if len(rows) == 2 else f"all {len(rows)} sizes"
    return every if some == len(rows) else f"{some} of {len(rows)} sizes"


def _by(rows: Sequence[Comparison], direction: str) -> str:
    """By how much, over all sizes and over the small ones if there are both."""
    if len(rows) == 1:
        return _factor(rows, direction)
    small = sorted((row for row in rows if row.record.bytes <= SMALL), key=lambda row: row.record.bytes)
    ends = [format_size(row.record.bytes) for row in (small[:1] + small[-1:])]
    part = f" ({' to '.join(ends)}: {_factor(small, direction)})" if 1 < len(small) < len(rows) else ""
    factor = _factor(rows, direction)
    return f"{'but ' if OPPOSITE[direction] in factor else ''}{factor} in the geometric mean{part}"


def _factor(rows: Sequence[Comparison], direction: str) -> str:
    """The geometric mean of the ratios as a factor of at least 1, and its direction if it is not ``direction``."""
    gain = -math.fsum(math.log(row.ratio.value) for row in rows) / len(rows)
    factor = f"{show_factor(math.exp(abs(gain)))}×"
    against = (gain > 0) != (direction == "faster") and factor != "1.00×"
    return f"{factor} {OPPOSITE[direction]}" if against else factor
