"""Cases whose ranks arrive late as a table: latency from the last and from the first arrival, against skew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collbench.plan.sizes import format_size
from collbench.plan.skew import Skew, parse_skew
from collbench.results.cases import CaseResult
from collbench.results.panels import Panel, panel_of, panels, title_of
from collbench.tables import Table, numbers, show_us, table_of
from collbench.views.cells import show_case

FIRST = "first_us_median"
READING = "last: from the last arrival of a rank, the transfer; first: from the first arrival, with the waiting."


def skew_of(case: CaseResult) -> Skew:
    """The skew of a case that has one."""
    return parse_skew(case.record.skew)


def families(results: Iterable[CaseResult]) -> list[list[CaseResult]]:
    """The cases with a skew that differ only in size, backend and how late ranks are: all at random, or one of them.

    Cases in which no rank is late belong to each of these; pairs of hosts have none, nor has a lateness of which every
    case is skipped.
    """
    late = [case for case in results if case.record.skew and not case.record.pair]
    none: dict[Panel, list[CaseResult]] = {}
    found: dict[tuple[Panel, int | None], list[CaseResult]] = {}
    for group in panels(late).values():
        if all(case.status == "skipped" for case in group):
            continue
        panel, skew = panel_of(replace(group[0].record, skew="")), skew_of(group[0])
        (found.setdefault((panel, skew.rank), []) if skew.nanoseconds else none.setdefault(panel, [])).extend(group)
    for panel in none.keys() - {panel for panel, _ in found}:
        found[panel, None] = []
    return [[*none.get(panel, []), *group] for (panel, _), group in found.items()]


def late_rank(group: Iterable[CaseResult]) -> int | None:
    """The only rank that is late in the cases of a family, None where all are."""
    return max(map(skew_of, group), key=lambda skew: skew.nanoseconds).rank


def late_words(group: Iterable[CaseResult]) -> str:
    """Which ranks are late in the cases of a family."""
    rank = late_rank(group)
    return "every rank late at random" if rank is None else f"rank {rank} late"


def tables(results: Iterable[CaseResult]) -> list[Table]:
    """A table for each family, with two columns for each backend."""
    return [_table(group) for group in families(results)]


def _table(group: Sequence[CaseResult]) -> Table:
    at = {(case.record.bytes, skew_of(case).us, case.record.backend): case for case in group}
    ran = [key for key, case in at.items() if case.status != "skipped"]
    backends = sorted({name for _, _, name in ran})
    rows = [
        [format_size(size), f"{us:g}", *(cell for name in backends for cell in _cells(at.get((size, us, name))))]
        for size, us in sorted({(size, us) for size, us, _ in ran})
    ]
    heads = [f"{name} {end} µs" for name in backends for end in ("last", "first")]
    title = f"{title_of(replace(group[0].record, skew=''))} · {late_words(group)}"
    return table_of(title, numbers("size", "skew µs", *heads), rows)


def _cells(case: CaseResult | None) -> tuple[str, str]:
    value = case.median(FIRST) if case else None
    return show_case(case), "" if value is None else show_us(value)
