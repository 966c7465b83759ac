"""The series of a case over nights: its points, the nights without one, and where versions change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby, pairwise
from statistics import median, multimode

from collbench.results.cases import CaseResult, Identity, cases
from collbench.results.nights import VERSIONS, Night
from collbench.results.records import Record
from collbench.results.trends import FEWEST, LAST, MARGIN, WINDOW, Judgement, Trend, judge

Versions = dict[str, str]  # by VERSIONS, transport and fabric; without what is unknown
MEASURED = ("transport", "fabric")  # versions that the rows have


@dataclass(frozen=True)
class Point:
    """One night of a case; ``versions`` are those it ran with."""

    night: Night
    case: CaseResult
    versions: Versions

    @property
    def time(self) -> datetime:
        """The start of the night's first launch, in UTC."""
        return self.night.time

    @cached_property
    def us(self) -> float | None:
        """The median over launches in microseconds; None if any launch was wrong, failed or timed out."""
        return self.case.median()

    @cached_property
    def launches(self) -> int:
        """The number of launches with a latency."""
        return len(self.case.timed)


@dataclass(frozen=True)
class Change:
    """Versions that changed with the night of ``point``, each as ``driver 12.8 → 13.0``, and what came with them:
    ``ratio`` of the medians of up to WINDOW nights after and before."""

    point: Point
    words: str
    ratio: float


@dataclass(frozen=True)
class Series:
    """A case on one model of machine, night by night, with at least one point that has a latency. ``judgement`` is None
    without a verdict, and ``reason`` then says why."""

    points: tuple[Point, ...]
    machine: str
    judgement: Judgement | None = None
    reason: str = ""

    @property
    def record(self) -> Record:
        """A row of the last night, for the columns that all nights share."""
        return self.points[-1].case.record

    @cached_property
    def timed(self) -> tuple[Point, ...]:
        """The points that have a latency."""
        return tuple(point for point in self.points if point.us is not None)

    @cached_property
    def untimed(self) -> tuple[Point, ...]:
        """The nights without a latency, except those in which the case was skipped."""
        return tuple(point for point in self.points if point.case.is_bad)

    @cached_property
    def alike(self) -> tuple[Point, ...]:
        """The points with the versions of the last one: only these are compared."""
        return tuple(point for point in self.timed if point.versions == self.timed[-1].versions)

    @cached_property
    def usual_launches(self) -> int:
        """The number of launches that most nights have."""
        return max(multimode(point.launches for point in self.timed))

    @cached_property
    def changes(self) -> list[Change]:
        """Where versions change; nights of which nothing is known are passed over."""
        known = [point for point in self.timed if point.night.versions]
        eras = [list(era) for _, era in groupby(known, key=lambda point: point.versions)]
        return [_change(earlier, later) for earlier, later in pairwise(eras)]

    @property
    def onset(self) -> tuple[Point, Point] | None:
        """Of a slower case, the last night that was not slower and the one after it; else None."""
        if self.judgement is None or not self.is_slower:
            return None
        most = self.judgement.before_us * (1 + self.judgement.margin)
        last = max(place for place, point in enumerate(self.alike) if point.us is not None and point.us <= most)
        return self.alike[last], self.alike[last + 1]

    @property
    def is_slower(self) -> bool:
        """Whether the alarm sounds."""
        return self.judgement is not None and self.judgement.trend is Trend.SLOWER


def _change(earlier: Sequence[Point], later: Sequence[Point]) -> Change:
    """The change between two eras, each with the same versions in all its nights."""
    old, new = earlier[-1].versions, later[0].versions
    names = [name for name in (*VERSIONS, *MEASURED) if old.get(name) != new.get(name)]
    words = ", ".join(f"{name} {old.get(name, 'unknown')} → {new.get(name, 'unknown')}" for name in names)
    return Change(later[0], words, _median(later[:WINDOW]) / _median(earlier[-WINDOW:]))


def _median(points: Sequence[Point]) -> float:
    return median(point.us for point in points if point.us is not None)


def series_of(
    nights: Sequence[Night], margin: float = MARGIN, keep: Callable[[Record], bool] = lambda _: True
) -> list[Series]:
    """The series of the rows to ``keep``, judged, in order of appearance.

    A case and the model of the machine make a series. Versions of driver, NCCL, NVSHMEM and MPI, transport and fabric
    do not: a change of them is marked, and nights are compared with those of the same versions. A night of an unknown
    machine belongs to the only known one, if there is one.
    """
    machines = {night.machine for night in nights} - {""}
    only = machines.pop() if len(machines) == 1 else ""
    found: dict[tuple[str, Identity], list[Point]] = {}
    for night in nights:
        for case in cases(filter(keep, night.records)):
            key = (night.machine or only, case.record.identity)
            found.setdefault(key, []).append(Point(night, case, _versions(night, case)))
    series = [Series(tuple(points), machine) for (machine, _), points in found.items()]
    return _judged([each for each in series if each.timed], margin)


def _versions(night: Night, case: CaseResult) -> Versions:
    measured = {
        "transport": ", ".join(sorted({words for row in case.timed if (words := row.param.get("transport", ""))})),
        "fabric": ", ".join(sorted({row.fabric for row in case.timed})),
    }
    return {**night.versions, **{name: words for name, words in measured.items() if words}}


def _judged(series: Iterable[Series], margin: float) -> list[Series]:
    """The series with their judgements or the reasons why there are none."""
    every = list(series)
    latest: dict[tuple[object, ...], datetime] = {}
    for each in every:
        latest[_table(each)] = max(each.points[-1].time, latest.get(_table(each), each.points[-1].time))
    return [_with_judgement(each, latest[_table(each)], margin) for each in every]


def _table(series: Series) -> tuple[object, ...]:
    """What series share that are measured together: all but size and backend."""
    return (series.machine, *replace(series.record, bytes=0, backend="").identity)


def _with_judgement(series: Series, latest: datetime, margin: float) -> Series:
    last, alike = series.points[-1], series.alike
    if last.time < latest:
        return _without(series, f"no row since {date_of(last)}")
    if last.us is None:
        return _without(series, f"{last.case.status} on {date_of(last)}")
    found = judge([point.us for point in alike if point.us], margin)
    if found is None:
        return _without(series, f"{nights_words(len(alike))} with these versions, {LAST + FEWEST} are needed")
    return replace(series, judgement=found)


def _without(series: Series, reason: str) -> Series:
    return replace(series, reason=reason)


def date_of(point: Point) -> str:
    """The date of a night, in UTC."""
    return point.time.date().isoformat()


def nights_words(number: int) -> str:
    """``1 night``, ``2 nights``."""
    return f"{number} night{'s' * (number != 1)}"
