"""Pairs of hosts as a table, the slowest first, and in words: which host or pair is slow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from collbench.plan.sizes import format_size
from collbench.results.cases import CaseResult, cases
from collbench.results.links import FEWEST_PAIRS, Links, Slow, hosts_of, judged, links_of, slow_hosts, slow_pairs
from collbench.results.panels import Panel, panel_of, title_of
from collbench.results.records import Record
from collbench.results.verdicts import FEWEST_LAUNCHES, counted_launches
from collbench.tables import Table, numbers, show_factor, show_us, table_of, words

MOST_ROWS = 20  # of a table


def ends(found: Sequence[Links]) -> tuple[Links, Links]:
    """The smallest and the largest size of these, which differ only in size: for latency, and for bandwidth."""
    return found[0], found[-1]


def by_backend(results: Iterable[CaseResult]) -> list[list[Links]]:
    """The links that differ only in size, the smallest first, for each backend and configuration."""
    found: dict[tuple[Panel, str], list[Links]] = {}
    for links in links_of(results):
        record = replace(links.cases[0].record, pair="")
        found.setdefault((panel_of(record), record.backend), []).append(links)
    return list(found.values())


def tables(results: Iterable[CaseResult]) -> list[Table]:
    """A table for each backend and configuration: latency at the smallest size, bandwidth at the largest."""
    return [_table(found) for found in by_backend(results)]


def _table(found: Sequence[Links]) -> Table:
    small, large = ends(found)
    record = replace(large.cases[0].record, pair="")
    pairs = sorted({*small.pairs, *large.pairs}, key=lambda pair: (-(large.median(pair) or math.inf), pair))
    rows = [(pair, _us(small.median(pair)), _gb_s(large.median(pair, "busbw_gb_s"))) for pair in pairs[:MOST_ROWS]]
    heads = numbers(f"{format_size(small.cases[0].record.bytes)} µs", f"{format_size(record.bytes)} GB/s")
    left = len(pairs) - len(rows)
    more = [f"{left} more pair{'s' * (left != 1)}, which are faster."] if left else []
    return table_of(f"{title_of(record)} · {record.backend}", [*words("pair"), *heads], rows, more)


def _us(value: float | None) -> str:
    return "-" if value is None else show_us(value)


def _gb_s(value: float | None) -> str:
    return "-" if value is None else f"{Decimal(f'{value:.3g}'):f}"


def findings(records: Iterable[Record]) -> list[str]:
    """A line for the slowest host and one for the slowest pair without it, of each backend and configuration, or that
    none stands out; [] without pairs."""
    groups = by_backend(cases(records))
    shown = [list(dict.fromkeys(ends(found))) for found in groups]
    together = sum(judged(links) for found in shown for links in found)
    return [line for found in shown for line in _lines(found, together, len(groups) > 1)]


def _lines(found: Sequence[Links], together: int, several: bool) -> list[str]:
    usable = [links for links in found if judged(links)]
    head = f"{found[0].cases[0].record.backend}: " if several else ""
    if not usable:
        return [f"{head}fewer than {FEWEST_PAIRS} pairs of hosts were timed: no pair can be compared with others"]
    hosts = [(links, slow) for links in usable for slow in slow_hosts(links, together)]
    slow_ones = {slow.name for _, slow in hosts}
    pairs = [(links, slow) for links in usable for slow in slow_pairs(links, together)
             if slow_ones.isdisjoint(hosts_of(slow.name))]  # fmt: skip
    host, pair = (max(each, key=_factor, default=None) for each in (hosts, pairs))
    lines = [*([_said("the pairs of {} take", host)] if host else []), *([_said("{} takes", pair)] if pair else [])]
    few = min(len(links.launches()) for links in usable)
    if few < FEWEST_LAUNCHES:
        lines.append(f"{counted_launches(few)}: no verdict on hosts; use --launches {FEWEST_LAUNCHES} or more")
    return [f"{head}{line}" for line in lines or ["no host or pair of hosts is slower than the others beyond noise"]]


def _factor(found: tuple[Links, Slow]) -> float:
    return found[1].factor


def _said(subject: str, found: tuple[Links, Slow]) -> str:
    links, slow = found
    line = f"{subject.format(slow.name)} {show_factor(slow.factor)}× the time of the others"
    line = f"{line} at {format_size(links.cases[0].record.bytes)}"
    if slow.low is None or slow.high is None:
        return line
    bounds = f"{show_factor(slow.low)} to {show_factor(slow.high)}"
    return f"{line} ({bounds} in {counted_launches(slow.launches)} like these)"
