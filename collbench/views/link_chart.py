"""The chart of all pairs of hosts on one backend: latency at the smallest size, bandwidth at the largest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import median

from matplotlib.figure import Figure

from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.links import Links, hosts_of
from collbench.results.records import Record
from collbench.tables import show_us
from collbench.views.groups import Groups
from collbench.views.links import by_backend, ends
from collbench.views.matrix import Pane, matrix_chart
from collbench.views.naming import words_of
from collbench.views.page import Frame

PLACES = ("before", "after")  # of two runs
READING = "Each cell: a pair of hosts, median over launches of each launch's median. White: not timed."


def groups(runs: Sequence[Iterable[Record]]) -> Groups:
    """The cases of each chart, of one run and one backend, by the words for its file name; none without a latency."""
    found: Groups = {}
    for place, records in enumerate(runs):
        for each in by_backend(cases(records)):
            together = [case for links in each for case in links.cases]
            if any(case.timed for case in together):
                first = replace(together[0].record, pair="")
                sides = tuple(together if at == place else [] for at in range(len(runs)))
                found[*words_of(first), first.backend, PLACES[place]] = sides
    return found


def chart(frame: Frame, group: Iterable[CaseResult]) -> Figure:
    """The matrices of one backend."""
    (found,) = by_backend(group)
    small, large = ends(found)
    hosts = sorted({host for links in found for host in links.hosts}, key=(small.hosts + large.hosts).index)
    panes = [
        _pane("latency (µs)", small, hosts, lambda pair: _short(show_us, small.median(pair))),
        _pane("bandwidth (GB/s)", large, hosts, lambda pair: _short(_gb_s, large.median(pair, "busbw_gb_s"))),
    ]
    return matrix_chart(frame, hosts, panes)


def _gb_s(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def _short(show: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else show(value)


def _pane(what: str, links: Links, hosts: list[str], text: Callable[[str], str]) -> Pane:
    """The matrix at one size; a pair stands on both sides of the diagonal."""
    times = {pair: us for pair in links.pairs if (us := links.median(pair)) is not None}
    middle = median(times.values()) if times else 1.0
    cells: dict[tuple[int, int], tuple[str, float]] = {}
    for pair, us in times.items():
        one, other = (hosts.index(host) for host in hosts_of(pair))
        cells[one, other] = cells[other, one] = text(pair), us / middle
    return Pane(f"{what} at {format_size(links.cases[0].record.bytes)}", cells)
