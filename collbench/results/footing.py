"""Rows of several tools on one footing: a mean over ranks is compared with means, not with the slowest rank, where all
rows have one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.layout import VIRTUAL
from collbench.results.records import Record

TOOL, STATISTIC = "tool", "statistic"  # in the params of rows that another tool measured
SLOWEST_RANK, OVER_RANKS = "slowest rank", "mean over ranks"  # values of statistic
LEVELLED, JOINED = "by", "fabric"  # in those of rows that `level` changed: by=mean, fabric=unknown
MEAN = "mean"


def level(records: Sequence[Record]) -> list[Record]:
    """The rows as they can be shown and compared together.

    A row without ``latency_us_median`` but with ``latency_us_mean``, as nccl-tests gives, is taken by its mean, and
    with it all rows of the same collective, type and mode that have a mean. A row of an unknown network joins the
    others of its world where these have one network. ``params`` of a changed row say so; other rows stay as they are.
    """
    by_mean = {_family(row) for row in records if _lacks(row)}
    if not by_mean and all(row.fabric for row in records):
        return list(records)
    fabrics = _fabrics(records)
    return [_joined(_levelled(row) if _family(row) in by_mean else row, fabrics) for row in records]


def kind_of(row: Record) -> str:
    """In words, what the latency of a row is and which tool measured it."""
    tool, by_mean = row.param.get(TOOL), bool(row.param.get(LEVELLED))
    if not tool:
        return f"{OVER_RANKS if by_mean else 'median of the slowest rank'} (collbench)"
    said = row.param.get(STATISTIC, "of an unknown kind")
    if by_mean:  # a tool that gives both has the slowest rank beside a mean over ranks
        return f"mean over calls, {OVER_RANKS if said == SLOWEST_RANK else said} ({tool})"
    over_calls = said != SLOWEST_RANK or row.latency_us_p95 is not None  # where a tool reports single calls
    if row.latency_us_median is not None and over_calls:
        return f"median over calls, {SLOWEST_RANK} ({tool})"
    return f"mean over calls, {said} ({tool})"


def kinds_of(rows: Iterable[Record]) -> str:
    """`kind_of` these rows, without repeats."""
    return "; ".join(dict.fromkeys(map(kind_of, rows)))


def unlike(a: str, mine: Iterable[Record], b: str, theirs: Iterable[Record]) -> str:
    """That one side is taken by the slowest rank and the other one is not, in a sentence; "" where they are alike."""
    by_mean = {name: any(row.param.get(LEVELLED) for row in rows) for name, rows in ((a, mine), (b, theirs))}
    if by_mean[a] == by_mean[b]:
        return ""
    slowest, mean = (b, a) if by_mean[a] else (a, b)
    return (
        f"{slowest} is taken by the slowest rank, {mean} is not: the slowest rank takes longest, so that a ratio "
        f"between them favours {mean}."
    )


def foreign_kind(row: Record) -> str:
    """`kind_of` a row of another tool, in brackets; "" for one of ours."""
    return f" [{kind_of(row)}]" if row.param.get(TOOL) else ""


def level_sides(sides: Sequence[Sequence[Record]]) -> list[list[Record]]:
    """Each of several sides of a comparison, as `level` makes all of their rows."""
    levelled = iter(level([row for side in sides for row in side]))
    return [[next(levelled) for _ in side] for side in sides]


def _lacks(row: Record) -> bool:
    return row.status == "ok" and row.latency_us_median is None and row.latency_us_mean is not None


def _family(row: Record) -> tuple[object, ...]:
    """What the rows of one chart share, whichever it is."""
    return (row.collective, row.dtype, row.op, row.mode, row.in_place, row.cache, row.hidden, row.skew)


def _levelled(row: Record) -> Record:
    us = row.latency_us_mean
    if us is None:
        return row
    algbw = row.bytes / us / 1000
    known = COLLECTIVES.get(row.collective)
    busbw = algbw * known.bus_factor(row.ranks) if known and not row.skew else None
    return replace(
        row, latency_us_median=us, latency_us_ci_low=None, latency_us_ci_high=None, latency_us_min=None,
        latency_us_p05=None, latency_us_p95=None, latency_us_p99=None, latency_us_max=None,
        algbw_gb_s=None if row.skew else algbw, busbw_gb_s=busbw, params=_more(row.params, LEVELLED, MEAN),
    )  # fmt: skip


def _more(params: str, name: str, text: str) -> str:
    return ";".join(filter(None, [params, f"{name}={text}"]))


def _world(row: Record) -> tuple[object, ...]:
    return row.ranks, row.nodes, row.gpus_per_node


def _fabrics(records: Iterable[Record]) -> dict[tuple[object, ...], set[str]]:
    found: dict[tuple[object, ...], set[str]] = {}
    for row in records:
        if row.fabric and not row.fabric.endswith(VIRTUAL):
            found.setdefault(_world(row), set()).add(row.fabric)
    return found


def _joined(row: Record, fabrics: dict[tuple[object, ...], set[str]]) -> Record:
    others = fabrics.get(_world(row), set())
    if row.fabric or len(others) != 1:
        return row
    return replace(row, fabric=next(iter(others)), params=_more(row.params, JOINED, "unknown"))
