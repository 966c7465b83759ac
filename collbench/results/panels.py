"""Records that belong into one table or chart, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from collbench.plan.layout import VIRTUAL
from collbench.results.records import Record

Panel = tuple[object, ...]


def panel_of(record: Record) -> Panel:
    """What the rows of one table or chart have in common: everything but size and backend."""
    return (
        record.collective, record.dtype, record.op, record.ranks, record.nodes, record.fabric, record.mode,
        record.in_place, record.param.get("cache", "hot"),
    )  # fmt: skip


def title_of(record: Record) -> str:
    """A panel's title: collective, type, ranks and nodes, fabric, mode."""
    plural = "node" if record.nodes == 1 else "nodes"
    virtual = "virtual " if record.fabric.endswith(VIRTUAL) else ""
    what = [record.collective, record.dtype, *([record.op] if record.op else [])]
    where = f"{record.ranks} ranks on {record.nodes} {virtual}{plural} ({record.fabric})"
    how = [record.mode, *(["cold"] if record.param.get("cache") == "cold" else [])]
    return " · ".join([*what, where, *how, *(["in place"] if record.in_place else [])])


def panels(records: Iterable[Record]) -> dict[Panel, list[Record]]:
    """Records by panel, in order of appearance of sorted panels; rows of jobs are in none."""
    found: dict[Panel, list[Record]] = {}
    for record in sorted((each for each in records if not each.is_job), key=lambda r: tuple(map(str, panel_of(r)))):
        found.setdefault(panel_of(record), []).append(record)
    return found


def median_us(records: Sequence[Record]) -> float | None:
    """Median over launches of the median latency; None where no launch has one."""
    values = [record.latency_us_median for record in records if record.latency_us_median is not None]
    return median(values) if values else None


def _bad(records: Sequence[Record]) -> list[str]:
    return [record.status for record in records if record.status not in ("ok", "skipped")]
