"""Replays as tables and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from collbench.plan.sizes import format_size
from collbench.results.replays import CHAIN, LAYERS, SKEWED, STEP, WITHOUT, ReplayRecord
from collbench.tables import Page, Table, counted, notes_of, numbers, show_us, table_of, words
from collbench.views.ratios import RATIO
from collbench.views.replay_conclusions import PassRatio, compared, conclusions, noun, reading
from collbench.views.replay_sums import PartSummary, SkewSummary, Summary, summaries

AGREES = 0.1  # of the sum of latencies


def settings(records: Sequence[ReplayRecord]) -> list[list[ReplayRecord]]:
    """The rows of each setting, in the order of the settings."""
    found: dict[tuple[object, ...], list[ReplayRecord]] = {}
    for record in records:
        found.setdefault(record.setting, []).append(record)
    return list(found.values())


def page(records: Sequence[ReplayRecord], baseline: str = "") -> Page:
    """Two tables for each setting, of passes and of their collectives, what they say in words, and notes."""
    parts = settings(records)
    judged = [each for rows in parts for each in compared(rows, baseline)]
    tables = [table for rows in parts for table in _tables(rows, baseline)]
    return Page(tuple(tables), notes_of(reading(judged), list(_notes(records))))


def _tables(rows: Sequence[ReplayRecord], baseline: str) -> Iterator[Table]:
    found, with_compute = summaries(rows), any(row.part == STEP for row in rows)
    heads = [*words("backend"), *numbers("communication", "sum of single latencies", "difference")]
    heads += numbers("with compute", "compute alone", "beyond both") if with_compute else []
    said = [f"- {words}" for words in conclusions(rows, baseline)]
    shown = (_row(each, with_compute) for each in found)
    yield table_of(f"{title_of(rows[0])}, in µs", heads, shown, said, list(_remarks(found)))
    columns = (*words("backend", "collective"), *numbers("bytes", "ranks", "times", "µs each", "µs in all", "adds"))
    parts = [(each.backend, part) for each in found for part in each.parts]
    late = [_skew_row(each, one) for each in found for one in each.skews]
    if late:
        arrivals = (*words("backend", "skew"), *numbers("communication", "from last arrivals", "from first arrivals"))
        yield table_of("With late ranks, in µs", arrivals, late)
    if parts:
        yield table_of("Its collectives", (*columns, *words("run by")), (_part_row(*each) for each in parts))


def title_of(row: ReplayRecord) -> str:
    """What is replayed, where, and what stands between the collectives."""
    what = f"One {row.pass_kind} {noun(row)} of {counted(row.tokens, 'token')}: {row.spec}"
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


def _skew_row(each: Summary, one: SkewSummary) -> list[str]:
    return [each.backend, one.skew, *map(_us, (each.communication_us, one.from_last_us, one.from_first_us))]


def _remarks(found: Iterable[Summary]) -> Iterator[str]:
    for each in found:
        if each.problem:
            yield f"- {each.backend}: {each.problem}"
        for part in each.parts:
            if part.answers < part.count:
                what = f"{part.collective} of {format_size(part.bytes)}"
                yield f"- {each.backend}: memory holds {part.answers} of {part.count} answers of {what}, the last ones"
        if each.difference is not None and abs(each.difference) > AGREES:
            yield f"- {each.backend}: {_where(each)}"


def _where(each: Summary) -> str:
    """The collective that differs most from its latencies in a chain, as far as that is known."""
    known = [(part.added_us - part.sum_us, part) for part in each.parts if part.added_us is not None]
    if known:
        excess, part = max(known, key=lambda one: abs(one[0]))
        change = f"{show_us(abs(excess))} µs {'more' if excess > 0 else 'less'}"
        return f"{part.collective} of {format_size(part.bytes)} takes {change} in the pass than in a chain"
    if any(part.collective == "send" for part in each.parts):
        return "in a chain of sends they follow one another, while in a pass a stage waits for each"
    return f"{each.parts[0].collective} of {format_size(each.parts[0].bytes)} is all that there is"


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
        for words in dict.fromkeys(row.params for row in records if (row.part, row.compute) == (LAYERS, "gemm")):
            yield f"- {words}, without attention, norms and activations; inputs of collectives are in the cache"
        yield "- beyond both: with compute, less compute and communication alone; negative where they overlap"
    if any(row.part == SKEWED for row in records):
        yield "- late: before each attention, each MLP and the head, by times that are drawn once for each launch"
        yield "- from arrivals: communication and what delays add to the pass, less those of the last, or first, rank"
    if any(row.part == CHAIN and row.ran_by != row.backend for row in records):
        yield "- run by: another backend where the one that was asked for has no such collective"


def data(records: Sequence[ReplayRecord]) -> list[dict[str, object]]:
    """Everything for JSON, in microseconds and bytes."""
    names = ("spec", "pass_kind", "tokens", "ranks", "nodes", "fabric", "compute", "spin_us")
    return [
        {
            **{name: getattr(rows[0], name) for name in names},
            "backends": [_plain(each) for each in summaries(rows)],
            "comparisons": [_comparison(each) for each in compared(rows)],
        }
        for rows in settings(records)
    ]


def _comparison(each: PassRatio) -> dict[str, object]:
    sides = {"figure": each.figure, "a": each.a, "b": each.b, "a_us": each.a_us, "b_us": each.b_us}
    return {**sides, **{name: getattr(each.ratio, name) for name in RATIO}}


def _plain(each: Summary) -> dict[str, object]:
    return {**asdict(each), "difference": each.difference}
