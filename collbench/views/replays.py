"""Replays in numbers and as tables: communication of a pass beside the sum of single latencies, and with compute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from collbench.plan.sizes import format_size
from collbench.results.replays import (
    CHAIN,
    COMMUNICATION,
    HEAD,
    LAYERS,
    STEP,
    WITHOUT,
    ReplayRecord,
)
from collbench.tables import Page, Table, counted, notes_of, numbers, show_us, table_of, words

AGREES = 0.1  # of the sum of latencies


@dataclass(frozen=True)
class PartSummary:
    """A collective of a replay, microseconds as medians over launches: ``sum_us`` of all of its ``count`` calls at the
    latency of a chain, ``added_us``, by how much the pass is longer with them than without, None where that was not
    measured."""

    what: str
    collective: str
    bytes: int
    ranks: int
    count: int
    ran_by: str
    sum_us: float
    added_us: float | None

    @property
    def us(self) -> float:
        """One call."""
        return self.sum_us / self.count


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
    problem: str

    @property
    def difference(self) -> float | None:
        """Communication relative to the sum of single latencies, less 1."""
        return self.communication_us / self.sum_us - 1 if self.communication_us and self.sum_us else None


def summaries(records: Sequence[ReplayRecord]) -> list[Summary]:
    """The summary of each backend of one setting, in the order of first rows."""
    names = dict.fromkeys(record.backend for record in records if record.backend)
    return [_summary(name, [record for record in records if record.backend in (name, "")]) for name in names]


def _summary(name: str, records: Sequence[ReplayRecord]) -> Summary:
    by_launch: dict[int, list[ReplayRecord]] = {}
    for record in records:
        by_launch.setdefault(record.launch, []).append(record)
    mine = [[record for record in rows if record.backend == name] for rows in by_launch.values()]
    flaw = next((record for rows in mine for record in rows if record.status != "ok"), None)
    whole = [rows for rows in by_launch.values() if any(record.backend == name for record in rows)] if not flaw else []
    figures = [_Figures.of(rows, name) for rows in whole]
    return Summary(
        backend=name,
        launches=len(whole),
        communication_us=_middle(each.communication for each in figures),
        sum_us=_middle(each.sum for each in figures),
        step_us=_middle(each.step for each in figures),
        compute_us=_middle(each.compute for each in figures),
        beyond_us=_middle(each.beyond for each in figures),
        parts=tuple(_parts([record for rows in mine for record in rows])) if not flaw else (),
        problem=f"{flaw.part} {flaw.collective} {flaw.status}: {flaw.reason}".replace("  ", " ") if flaw else "",
    )


@dataclass(frozen=True)
class _Figures:
    """The figures of one launch, in microseconds."""

    communication: float | None
    sum: float | None
    step: float | None
    compute: float | None

    @classmethod
    def of(cls, rows: Iterable[ReplayRecord], backend: str) -> _Figures:
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


def _parts(rows: Sequence[ReplayRecord]) -> Iterator[PartSummary]:
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
    count = sum(row.count for row in chains[0])
    size, ranks = one.bytes or 0, one.group_ranks or 0
    return PartSummary(one.what, one.collective, size, ranks, count, one.ran_by, whole, added_us)


def _less(whole: float | None, part: float | None) -> float | None:
    return whole - part if whole is not None and part is not None else None


def _settings(records: Sequence[ReplayRecord]) -> list[list[ReplayRecord]]:
    found: dict[tuple[object, ...], list[ReplayRecord]] = {}
    for record in records:
        found.setdefault(record.setting, []).append(record)
    return list(found.values())


def page(records: Sequence[ReplayRecord]) -> Page:
    """Two tables for each setting, of passes and of their collectives, and notes."""
    tables = [table for rows in _settings(records) for table in _tables(rows)]
    return Page(tuple(tables), notes_of(list(_notes(records))))


def _tables(rows: Sequence[ReplayRecord]) -> Iterator[Table]:
    found, with_compute = summaries(rows), any(row.part == STEP for row in rows)
    heads = [*words("backend"), *numbers("communication", "sum of single latencies", "difference")]
    heads += numbers("with compute", "compute alone", "beyond both") if with_compute else []
    yield table_of(_title(rows[0]), heads, (_row(each, with_compute) for each in found), list(_remarks(found)))
    columns = (*words("backend", "collective"), *numbers("bytes", "ranks", "times", "µs each", "µs in all", "adds"))
    parts = [(each.backend, part) for each in found for part in each.parts]
    if parts:
        yield table_of("Its collectives", (*columns, *words("run by")), (_part_row(*each) for each in parts))


def _title(row: ReplayRecord) -> str:
    noun = "pass" if row.pass_kind == "prefill" else "step"
    what = f"One {row.pass_kind} {noun} of {counted(row.tokens, 'token')}, in µs: {row.spec}"
    spin = f" of {row.spin_us:g} µs" if row.spin_us is not None else ""
    compute = {"none": "", "spin": f", spins{spin}", "gemm": ", matrix products"}[row.compute]
    return f"{what}, {counted(row.ranks, 'rank')} on {counted(row.nodes, 'node')} ({row.fabric}){compute}"


def _row(each: Summary, with_compute: bool) -> list[str]:
    figures = [each.communication_us, each.sum_us]
    more = [each.step_us, each.compute_us, each.beyond_us] if with_compute else []
    change = f"{each.difference:+.1%}".replace("%", " %") if each.difference is not None else "-"
    return [each.backend, *map(_us, figures), change, *map(_us, more)]


def _us(value: float | None) -> str:
    if value is None:
        return "-"
    return f"-{show_us(-value)}" if value < 0 else show_us(value)


def _part_row(backend: str, part: PartSummary) -> list[str]:
    size, calls = format_size(part.bytes), str(part.count)
    us = [part.us, part.sum_us, part.added_us]
    return [backend, f"{part.collective}: {part.what}", size, str(part.ranks), calls, *map(_us, us), part.ran_by]


def _remarks(found: Iterable[Summary]) -> Iterator[str]:
    for each in found:
        if each.problem:
            yield f"- {each.backend}: {each.problem}"
        if each.difference is not None and abs(each.difference) > AGREES:
            yield f"- {each.backend}: {_where(each)}"


def _where(each: Summary) -> str:
    """The collective that differs most from its latencies in a chain, as far as that is known."""
    known = [(part.added_us - part.sum_us, part) for part in each.parts if part.added_us is not None]
    if known:
        excess, part = max(known, key=lambda one: abs(one[0]))
        return f"{part.collective} of {format_size(part.bytes)} adds {_us(excess)} µs to what its calls take in a chain"
    if any(part.collective == "send" for part in each.parts):
        return "in a chain of sends they follow one another, while in a pass a stage waits for each"
    return "which collective differs was not measured"


def _notes(records: Sequence[ReplayRecord]) -> Iterator[str]:
    if not any(row.us_median for row in records):
        return
    yield "- communication: all collectives of the pass as one CUDA graph (on CPU ranks one after another), proven"
    if any(row.pass_kind == "decode" for row in records):
        yield "- a decode step yields one token of every request, so that these are microseconds a token"
    yield "- sum of single latencies: of each collective in a chain of its own, in the same launch, times its calls"
    if any(row.part == WITHOUT for row in records):
        yield "- adds: by how much the pass is longer than the same pass without these calls"
    if any(row.part == STEP for row in records):
        yield "- beyond both: with compute, less compute and communication alone; negative where they overlap"
    if any(row.part == CHAIN and row.ran_by != row.backend for row in records):
        yield "- run by: another backend where the one that was asked for has no such collective"


def data(records: Sequence[ReplayRecord]) -> list[dict[str, object]]:
    """Everything for JSON, in microseconds and bytes."""
    names = ("spec", "pass_kind", "tokens", "ranks", "nodes", "fabric", "compute", "spin_us", "skew")
    return [
        {**{name: getattr(rows[0], name) for name in names}, "backends": [_plain(each) for each in summaries(rows)]}
        for rows in _settings(records)
    ]


def _plain(each: Summary) -> dict[str, object]:
    return {**asdict(each), "difference": each.difference}
