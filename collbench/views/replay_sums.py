"""Replays in numbers: communication of a pass beside the sum of single latencies, with compute, and with late ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from collbench.results.replays import CHAIN, COMMUNICATION, HEAD, LAYERS, SKEWED, STEP, WITHOUT, ReplayRecord

UNSKEWED = "0"


@dataclass(frozen=True)
class PartSummary:
    """A collective of a replay, microseconds as medians over launches: ``sum_us`` of all of its ``count`` calls, of
    which ``answers`` are judged, at the latency of a chain; ``added_us``, by how much the pass is longer with them than
    without, None where that was not measured."""

    what: str
    collective: str
    bytes: int
    ranks: int
    count: int
    answers: int
    ran_by: str
    sum_us: float
    added_us: float | None

    @property
    def us(self) -> float:
        """One call."""
        return self.sum_us / self.count


@dataclass(frozen=True)
class SkewSummary:
    """Communication of a pass whose ranks are late, microseconds as medians over launches: from the arrivals of the
    first rank in each gap, which has waiting in it, and from those of the last."""

    skew: str
    from_first_us: float
    from_last_us: float


@dataclass(frozen=True)
class Summary:
    """A replay of one backend, microseconds as medians over launches: ``sum_us`` is that of single latencies,
    ``beyond_us`` what the pass with compute takes beyond compute and communication, each alone; None without compute.
    ``problem``: status and reason where it has no time."""

    backend: str
    launches: int
    communication_us: float | None
    sum_us: float | None
    step_us: float | None
    compute_us: float | None
    beyond_us: float | None
    parts: tuple[PartSummary, ...]
    skews: tuple[SkewSummary, ...]
    problem: str

    @property
    def difference(self) -> float | None:
        """Communication relative to the sum of single latencies, less 1."""
        return self.communication_us / self.sum_us - 1 if self.communication_us and self.sum_us else None


def summaries(records: Sequence[ReplayRecord]) -> list[Summary]:
    """The summary of each backend of one setting, in the order of names."""
    names = sorted({record.backend for record in records if record.backend})
    return [_summary(name, [record for record in records if record.backend in (name, "")]) for name in names]


def figures_of(name: str, records: Iterable[ReplayRecord]) -> dict[int, Figures]:
    """The figures of a backend by the number of each launch that it ran in."""
    return {
        launch: Figures.of(rows, name)
        for launch, rows in _by_launch(records).items()
        if any(record.backend == name for record in rows)
    }


def _by_launch(records: Iterable[ReplayRecord]) -> dict[int, list[ReplayRecord]]:
    found: dict[int, list[ReplayRecord]] = {}
    for record in records:
        found.setdefault(record.launch, []).append(record)
    return found


def _summary(name: str, records: Sequence[ReplayRecord]) -> Summary:
    mine = [[record for record in rows if record.backend == name] for rows in _by_launch(records).values()]
    flaw = next((record for rows in mine for record in rows if record.status != "ok"), None)
    figures = [*figures_of(name, records).values()] if not flaw else []
    return Summary(
        backend=name,
        launches=len(figures),
        communication_us=_middle(each.communication for each in figures),
        sum_us=_middle(each.sum for each in figures),
        step_us=_middle(each.step for each in figures),
        compute_us=_middle(each.compute for each in figures),
        beyond_us=_middle(each.beyond for each in figures),
        parts=tuple(sorted(_parts(mine), key=lambda part: -part.sum_us)) if not flaw else (),
        skews=tuple(sorted(_skews(mine), key=lambda one: one.skew)) if not flaw else (),
        problem=f"{flaw.part} {flaw.collective} {flaw.status}: {flaw.reason}".replace("  ", " ") if flaw else "",
    )


@dataclass(frozen=True)
class Figures:
    """The figures of one launch, in microseconds."""

    communication: float | None
    sum: float | None
    step: float | None
    compute: float | None

    @classmethod
    def of(cls, rows: Iterable[ReplayRecord], backend: str) -> Figures:
        """From the rows of a backend, and those of compute, of one launch."""
        found: dict[str, list[float]] = {}
        for row in rows:
            if row.us_median is not None and row.backend in (backend, ""):
                calls = row.count if row.part == CHAIN else 1
                found.setdefault(row.part, []).append(calls * row.us_median)
        computed = found.get(LAYERS, []) + found.get(HEAD, [])
        times = {part: sum(values) for part, values in found.items()}
        return cls(times.get(COMMUNICATION), times.get(CHAIN), times.get(STEP), sum(computed) if computed else None)

    @property
    def beyond(self) -> float | None:
        """What the pass with compute takes beyond both alone."""
        if self.step is None or self.compute is None or self.communication is None:
            return None
        return self.step - self.compute - self.communication


def _middle(values: Iterable[float | None]) -> float | None:
    some = [value for value in values if value is not None]
    return median(some) if some else None


def _skews(launches: Sequence[Sequence[ReplayRecord]]) -> Iterator[SkewSummary]:
    """Of the rows of each launch: from the times with delays those without are taken, which have the same spins."""
    found: dict[str, list[tuple[float, float]]] = {}
    for rows in launches:
        times = {(row.part, row.skew): row.us_median for row in rows if row.us_median is not None}
        for row in rows:
            if row.part == SKEWED and row.skew != UNSKEWED:
                known = (times[COMMUNICATION, ""], times[SKEWED, row.skew], times[SKEWED, UNSKEWED])
                found.setdefault(row.skew, []).append(_from_arrivals(row, *known))
    for skew, pairs in found.items():
        yield SkewSummary(skew, *(median(each) for each in zip(*pairs, strict=True)))


def _from_arrivals(row: ReplayRecord, communication: float, late: float, on_time: float) -> tuple[float, float]:
    """Communication from the first and from the last arrivals."""
    longer = communication + late - on_time
    return longer - (row.first_late_us or 0.0), longer - (row.last_late_us or 0.0)


def _parts(launches: Iterable[Iterable[ReplayRecord]]) -> Iterator[PartSummary]:
    rows = [row for rows in launches for row in rows]
    kinds: dict[tuple[object, ...], list[ReplayRecord]] = {}
    for row in rows:
        if row.part in (CHAIN, WITHOUT):
            kinds.setdefault(row.kind, []).append(row)
    whole = {row.launch: row.us_median for row in rows if row.part == COMMUNICATION}
    for alike in kinds.values():
        chains: dict[int, list[ReplayRecord]] = {}
        for row in alike:
            if row.part == CHAIN and row.us_median is not None:
                chains.setdefault(row.launch, []).append(row)
        added = [_less(whole.get(row.launch), row.us_median) for row in alike if row.part == WITHOUT]
        if chains:
            yield _part(list(chains.values()), _middle(added))


def _part(chains: Sequence[Sequence[ReplayRecord]], added_us: float | None) -> PartSummary:
    """Of the rows of each launch, which are several where stages send alike."""
    one = chains[0][0]
    whole = median(sum(row.count * (row.us_median or 0.0) for row in rows) for rows in chains)
    return PartSummary(
        what=one.what,
        collective=one.collective,
        bytes=one.bytes or 0,
        ranks=one.group_ranks or 0,
        count=sum(row.count for row in chains[0]),
        answers=sum(row.count if row.answers is None else row.answers for row in chains[0]),
        ran_by=one.ran_by,
        sum_us=whole,
        added_us=added_us,
    )


def _less(whole: float | None, part: float | None) -> float | None:
    return whole - part if whole is not None and part is not None else None
