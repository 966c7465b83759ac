"""Rows against the figures that a site publishes: as published, faster, slower, or like sockets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from collbench.errors import UsageError, pick
from collbench.plan.layout import VIRTUAL
from collbench.plan.sizes import format_size
from collbench.results.cases import LATENCY, CaseResult, cases, median_over
from collbench.results.published import Figures, Site
from collbench.results.records import Record

# A published figure is one run, whose noise nobody states. Those of CSCS, out of place and in place, differ by up to
# 17 % (but for one size), and runs of the same code on one machine by 4 %.
MARGIN = 1.25
APART = 2.0  # from this ratio on, the fabric and sockets can be distinguished
MEAN = "latency_us_mean"


class Verdict(StrEnum):
    """What is said of a case at one size."""

    AS_PUBLISHED = "as published"
    FASTER = "faster"
    SLOWER = "slower"
    SOCKETS = "looks like sockets"


@dataclass(frozen=True)
class Against:
    """One case beside its published latency, in microseconds; ``us`` is the median over launches, None if the case has
    no latency; ``by_mean``: of the mean over ranks, else of the slowest rank. ``sockets_us``: None if unknown;
    ``by_sockets``: whether the run as a whole is nearer to them, without which no size of it looks like them."""

    case: CaseResult
    figures: Figures
    us: float | None
    by_mean: bool
    published_us: float
    sockets_us: float | None
    by_sockets: bool = True

    @property
    def factor(self) -> float | None:
        """How many times as long as published; None without a latency."""
        return None if self.us is None else self.us / self.published_us

    @property
    def verdict(self) -> Verdict | None:
        """None without a latency."""
        sockets_us = self.sockets_us if self.by_sockets else None
        return None if self.us is None else verdict_of(self.us, self.published_us, sockets_us)

    @property
    def leaning(self) -> float:
        """By how much it is nearer to sockets than to the fabric, as a logarithm: negative if it is not, and 0 where it
        has no latency or the two cannot be distinguished."""
        if not self.us or not _are_apart(self.published_us, self.sockets_us):
            return 0.0
        return 2 * math.log(self.us) - math.log(self.published_us) - math.log(self.sockets_us or math.inf)


@dataclass(frozen=True)
class Judged:
    """The cases that have a figure, by panel and size, and the sizes without one."""

    site: Site
    backend: str
    rows: tuple[Against, ...]
    without: tuple[int, ...]


def verdict_of(us: float, published_us: float, sockets_us: float | None) -> Verdict:
    """The verdict on ``us``: like sockets where it is nearer to them, in ratio, and they are far from the fabric."""
    if sockets_us and _are_apart(published_us, sockets_us) and us > math.sqrt(published_us * sockets_us):
        return Verdict.SOCKETS
    if us > published_us * MARGIN:
        return Verdict.SLOWER
    return Verdict.FASTER if us * MARGIN < published_us else Verdict.AS_PUBLISHED


def _are_apart(published_us: float, sockets_us: float | None) -> bool:
    return sockets_us is not None and sockets_us >= APART * published_us


def judge(records: Iterable[Record], site: Site, backend: str = "") -> Judged:
    """The cases of ``backend`` (the site's library, or the only one) against the figures of their kind.

    Raises UsageError where none of them has a figure, with the first of collective, type, reduction, world, mode and
    size in which they differ from what the site published.
    """
    rows = [row for row in records if not row.is_job]
    backend = _backend(rows, site, backend)
    rows = [row for row in rows if row.backend == backend]
    kinds = {figures.kind: figures for figures in site.published}
    _check_held(rows, site)
    found = [(case, kinds[_kind(case.record)]) for case in cases(rows) if _kind(case.record) in kinds]
    held = [_against(case, figures, site) for case, figures in found if _place(case.record) in figures.points]
    without = {case.record.bytes for case, figures in found if _place(case.record) not in figures.points}
    if not held:
        raise UsageError(f"{site.name} has no figures for the sizes {_sizes(without)}; {_holds(site)}.")
    return Judged(site, backend, tuple(_by_run(held)), tuple(sorted(without)))


def _by_run(rows: Sequence[Against]) -> list[Against]:
    """The rows, of which none looks like sockets unless all sizes of its kind together do: a run crosses one network,
    and is nearer to sockets at small sizes also where it is only slow."""
    kinds = {row.figures.kind for row in rows}
    leaning = {kind: sum(row.leaning for row in rows if row.figures.kind == kind) for kind in kinds}
    return [replace(row, by_sockets=leaning[row.figures.kind] > 0) for row in rows]


def _backend(rows: Sequence[Record], site: Site, named: str) -> str:
    known = {row.backend for row in rows}
    if not known:
        raise UsageError("there is no row of a case; give a file of a sweep that ran.")
    if named:
        return pick("backend", named, known)
    if site.library in known or len(known) == 1:
        return site.library if site.library in known else next(iter(known))
    raise UsageError(f"no row is of {site.library}, of which {site.name} has figures; name one by --backend: "
                     f"{', '.join(sorted(known))}.")  # fmt: skip


def _place(row: Record) -> tuple[int, bool]:
    return row.bytes, row.in_place


def _world(row: Record) -> str:
    virtual = " virtual" if row.fabric.endswith(VIRTUAL) else ""
    groups = f" in {row.groups} groups at once" if row.groups else ""
    return f"{row.nodes}x{row.gpus_per_node or 'uneven'}{virtual}{groups}"


def _mode(row: Record) -> str:
    return " ".join(filter(None, [row.mode, "cold" * (row.cache == "cold"), f"skew {row.skew}" * bool(row.skew)]))


# In the order in which a refusal names them; each of a row as of figures.
KIND: Mapping[str, Callable[[Record], str]] = {
    "collective": lambda row: row.collective, "type": lambda row: row.dtype, "reduction": lambda row: row.op,
    "world": _world, "mode": _mode,
}  # fmt: skip


def _kind(row: Record) -> tuple[str, ...]:
    return tuple(of_row(row) for of_row in KIND.values())


def _check_held(rows: Sequence[Record], site: Site) -> None:
    """Raise UsageError, naming the first thing that keeps every row from having a figure."""
    mine, theirs = {_kind(row) for row in rows}, {figures.kind for figures in site.published}
    for place, noun in enumerate(KIND):
        said, held = ({kind[place] for kind in kinds} for kinds in (mine, theirs))
        mine, theirs = ({kind for kind in kinds if kind[place] in said & held} for kinds in (mine, theirs))
        if not mine:
            listed = ", ".join(sorted(said))
            raise UsageError(f"{site.name} has no figures for the {noun} {listed}; {_holds(site)}.")
    if not mine & theirs:
        raise UsageError(f"{site.name} has no figures for this combination; {_holds(site)}.")


def _holds(site: Site) -> str:
    """What a site published, and how to measure it."""
    kinds = [f"{' '.join(each.kind)}, {_sizes(size for size, _ in each.points)}" for each in site.published]
    return f"it has {'; '.join(kinds)}"


def _sizes(sizes: Iterable[int]) -> str:
    """Sizes in words: the range of many, the list of few."""
    ordered = [format_size(size) for size in sorted(set(sizes))]
    return ", ".join(ordered) if len(ordered) <= 3 else f"{ordered[0]} to {ordered[-1]}"


def _against(case: CaseResult, figures: Figures, site: Site) -> Against:
    """The site's statistic is a mean over ranks, which is taken where all rows have it."""
    by_mean = figures.statistic == "mean over ranks" and all(row.latency_us_mean is not None for row in _timed(case))
    us = median_over(_timed(case), MEAN if by_mean else LATENCY)
    sockets = site.sockets(figures)
    place = _place(case.record)
    return Against(case, figures, us, by_mean, figures.points[place], sockets.points.get(place) if sockets else None)


def _timed(case: CaseResult) -> Sequence[Record]:
    """The rows that have a latency of some kind; () if the case is bad."""
    return () if case.is_bad else [row for row in case.rows if row.status == "ok"]
