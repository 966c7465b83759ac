"""Which collective a table of nccl-tests is of, where neither its heading nor a command says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from collbench.foreign.measured import Place
from collbench.foreign.perf_table import Row
from collbench.foreign.words import number, positive
from collbench.plan.collectives import COLLECTIVES

_NEAR = 0.004  # relative; bandwidths have two decimal places
_UNIQUE = ("all_reduce", "reduce_scatter", "broadcast", "send_recv")  # scatter looks like gather, for example
_LEAST = 5.0  # GB/s; below, rounding hides the ratio


def inferred(rows: Sequence[Row], place: Place, scale: float) -> str:
    """The only one of _UNIQUE with the ratio of both bandwidths, with a reduction or without one, and with a root or
    without one, of these rows; "" where there are several or none. ``scale``: microseconds in the unit of times."""
    ratios = [each for row in rows for each in _ratios(row, scale)]
    if not ratios or not place.ranks or place.ranks < 2:
        return ""
    words = rows[0].words[1:]
    root = any(word.isdecimal() for word in words)
    reduces = any(not word.lstrip("-").isdecimal() and word != "none" for word in words)
    known = [COLLECTIVES[name] for name in _UNIQUE]
    factors = {each.name: each.bus_factor(place.ranks) for each in known
               if each.reduces == reduces and each.has_root == root}  # fmt: skip
    found = [name for name, factor in factors.items() if abs(factor / median(ratios) - 1) < _NEAR]
    return found[0] if len(found) == 1 else ""


def _ratios(row: Row, scale: float) -> Iterable[float]:
    """Bus bandwidth over bytes per time of each side, where it is large enough to tell. The algorithm bandwidth that is
    printed was another one before 2020."""
    for cells in row.sides.values():
        try:
            us, bus = positive(cells["time"]) * scale, number(cells["busbw"])
        except (KeyError, ValueError):
            continue
        if row.size and bus >= _LEAST:
            yield bus * us * 1000 / row.size
