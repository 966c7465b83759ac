"""The section of LLM inference: replays among the files, and what latencies of the run predict for their steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from collbench.errors import UsageError
from collbench.fit.measured import Measured, timed_cases
from collbench.llm.spec import Spec, parse_spec
from collbench.plan.layout import VIRTUAL
from collbench.predict import report
from collbench.predict.compute import Compute
from collbench.predict.replayed import Replayed
from collbench.predict.study import Question, study
from collbench.report.markup import Html, joined, tag
from collbench.report.sections import Section
from collbench.report.tables import notes_html, page_html
from collbench.results.records import Record
from collbench.results.replays import HEAD, LAYERS, ReplayRecord
from collbench.tables import notes_of
from collbench.views import replays
from collbench.views.machines import Machines, machine_of
from collbench.views.naming import readable
from collbench.views.replay_conclusions import compared, conclusions, reading
from collbench.views.replay_sums import summaries

Replays = Mapping[Path, Sequence[ReplayRecord]]


def inference_section(given: Replays, machines: Machines, baseline: str) -> list[Section]:
    """Tables of all replays, then predictions for the models, splits and batches of those with matrix products, by the
    latencies that every backend of the last run has on the machine of the replay; [] without replays."""
    if not given:
        return []
    parts = [_replay(path, rows, baseline) for path, rows in given.items()]
    predicted = _predictions(given, machines) if machines else []
    return [Section("inference", "LLM inference", joined([*parts, *predicted]))]


def replays_section(given: Replays, baseline: str, alone: bool) -> list[Section]:
    """Of every replay, which backend's pass is shorter, by how much, and how sure that is; [] without replays.
    ``alone``: the page has no other summary."""
    parts = [part for path, rows in given.items() for part in _concluded(path, rows, baseline, len(given) > 1)]
    judged = [each for rows in given.values() for some in replays.settings(rows) for each in compared(some, baseline)]
    body = joined([*parts, notes_html(notes_of(reading(judged)))])
    title = "Summary" if alone else "Summary: LLM inference"
    return [Section("replays", title, body)] if parts else []


def _concluded(path: Path, rows: Sequence[ReplayRecord], baseline: str, with_name: bool) -> Iterator[Html]:
    name, machine = f"{readable(path.name)}: " if with_name else "", machine_of(path)
    if not rows:
        yield tag("p", f"{readable(path.name)} has no row: no launch of its replay has ended.", class_="note")
    for some in replays.settings(rows):
        where = f"{replays.title_of(some[0])}{f', on {machine}' if machine else ''}"
        faults = [f"{each.backend} has no time: {each.problem}" for each in summaries(some) if each.problem]
        lists = ((faults, "bad"), (conclusions(some, baseline), None))
        lines = (tag("ul", *(tag("li", line) for line in said), class_=kind) for said, kind in lists if said)
        yield joined([tag("h3", f"{name}{where}"), *lines])


def _replay(path: Path, rows: Sequence[ReplayRecord], baseline: str) -> Html:
    return joined([tag("h3", f"Replayed: {readable(path.name)}"), page_html(replays.page(rows, baseline))])


def _predictions(given: Replays, machines: Machines) -> Iterator[Html]:
    for path, rows in given.items():
        plain = [row for row in _like(path, machines) if not (row.is_job or row.skew or row.pair or _is_virtual(row))]
        products = tuple(row for row in rows if row.compute == "gemm" and row.part in (LAYERS, HEAD) and row.us_median)
        for text in dict.fromkeys(row.spec for row in products if plain):
            yield from _prediction(parse_spec(text), Replayed(products, readable(path.name)), plain)


def _like(path: Path, machines: Machines) -> Sequence[Record]:
    """The rows of the machine of a replay; where either is unknown, those of the only one; else none."""
    name = machine_of(path)
    possible = [runs for machine, runs in machines.items() if not (name and machine) or machine == name]
    runs = machines.get(name) or (possible[0] if len(possible) == 1 else ())
    return runs[-1].records if runs else ()


def _is_virtual(row: Record) -> bool:
    return row.fabric.endswith(VIRTUAL)


def _prediction(spec: Spec, compute: Compute, records: Sequence[Record]) -> Iterator[Html]:
    """What the backends that have all collectives of ``spec`` predict; why, where none has."""
    gpus = spec.tp * spec.pp * spec.dp
    whole = replace(spec, gpus_per_node=min(gpus, spec.gpus_per_node))
    nodes = -(-gpus // whole.gpus_per_node)
    names = [name for name in sorted({row.backend for row in records}) if timed_cases(records, name)]
    sources = [Measured(tuple(row for row in records if row.backend == name), name, "this report") for name in names]
    if not sources:
        yield tag("p", f"No prediction for {spec}: no backend has a latency.", class_="note")
        return
    try:
        found = study(Question(whole, [nodes], [whole.batch], sources, compute))
    except UsageError as error:
        yield tag("p", f"No prediction for {spec}: {error}", class_="note")
    else:
        yield joined([tag("h3", f"Predicted: {spec}"), page_html(report.page(found))])
