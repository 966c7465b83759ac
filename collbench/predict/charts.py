"""Charts of predictions: which there are, and what each of them says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from collbench.fit.estimate import BASES, Estimate
from collbench.llm.spec import Spec
from collbench.predict import amdahl
from collbench.predict.amdahl_chart import Point, amdahl_chart
from collbench.predict.outcome import Outcome
from collbench.predict.parts_chart import Bar, parts_chart
from collbench.predict.report import kind_of, milliseconds, split_of, title_of
from collbench.predict.split_map import Tile, split_map
from collbench.predict.study import Study, duration
from collbench.predict.tpot_chart import Track, tpot_chart
from collbench.views.page import KEPT, Frame, look, save
from collbench.views.palette import styles

READING = "TPOT: time per output token of one batch in flight; nothing overlaps, stages run one after another."
RANGE = "Range: the sum of those of all parts."


@dataclass(frozen=True)
class Chart:
    """A figure and the end of its file's name."""

    name: str
    figure: Figure


def draw_all(study: Study, folder: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write all charts of a study into ``folder`` and return their paths. Raises UsageError where they cannot be
    written."""
    stem = Path(study.question.spec.model).name.removesuffix(".json")
    with look():
        found = [save(chart.figure, folder / f"{stem}-{chart.name}", formats) for chart in charts(study)]
    return [path for paths in found for path in paths]


def charts(study: Study) -> Iterator[Chart]:
    """TPOT over nodes and the parts of a decode step for each batch; the map of the best splits; speed-up over the
    share of communication."""
    for batch in study.question.batches:
        found = [each for each in study.outcomes if each.spec.batch == batch and each.decode]
        if found:
            yield Chart(f"tpot-b{batch}", _tpot(study, batch))
            yield Chart(f"parts-b{batch}", _parts(study, batch))
            points = [*_points_of(study, found)]
            if points:
                yield Chart(f"speedup-b{batch}", _speedup(study, batch, points))
    if any(each.decode for each in study.outcomes):
        yield Chart("best", _map(study))


def _sources(study: Study) -> list[str]:
    return [source.name for source in study.question.sources]


def _frame(study: Study, title: str, *reading: str) -> Frame:
    foot = "\n".join([*reading, *_rests_on(study)])
    return Frame(re.sub(r"(\d|vLLM) (?=\w)", rf"\1{KEPT}", title), foot, styles(_sources(study)))


def _rests_on(study: Study) -> list[str]:
    """Labels of what the numbers rest on."""
    steps = [(each.source, each.decode) for each in study.outcomes if each.decode]
    bases = {
        name: sorted({time.communication.basis for source, time in steps if source == name}, key=BASES.index)
        for name in _sources(study)
    }
    said = "; ".join(f"{name} {' and '.join(each)}" for name, each in bases.items())
    _, first = steps[0]
    return [f"Collectives: {said}. C{first.compute.source[1:]} ({first.compute.basis})."]


def _tpot(study: Study, batch: int) -> Figure:
    tracks = [*_tracks(study, batch)]
    gpus = {nodes: nodes * study.question.spec.gpus_per_node for track in tracks for nodes in track.nodes}
    title = f"Time per output token:\n{title_of(_spec(study, batch))}"
    reading = "Solid: the fastest split, named below."
    return tpot_chart(_frame(study, title, f"{READING} {reading} {RANGE}"), tracks, gpus)


def _spec(study: Study, batch: int) -> Spec:
    return replace(study.question.spec, batch=batch)


def _tracks(study: Study, batch: int) -> Iterator[Track]:
    for source in _sources(study):
        ranked = {nodes: study.best(source, batch, nodes) for nodes in study.question.nodes}
        fastest = {nodes: found[0] for nodes, found in ranked.items() if found}
        plain = {nodes: each for nodes, found in ranked.items() for each in found if each.spec.pp == 1}
        yield Track(source, *_points(fastest), tuple(split_of(each.spec) for each in fastest.values()))
        slower = [nodes for nodes, each in plain.items() if each is not fastest[nodes]]
        before = [nodes for nodes in plain if slower and nodes < slower[0]]
        if slower:
            yield Track(source, *_points({nodes: plain[nodes] for nodes in (*before[-1:], *slower)}), dashed=True)


def _points(found: dict[int, Outcome]) -> tuple[tuple[int, ...], tuple[Estimate, ...]]:
    return tuple(found), tuple(duration(each) for each in found.values())


def _parts(study: Study, batch: int) -> Figure:
    title = f"Communication and computation of a decode step:\n{title_of(_spec(study, batch))}"
    reading = "The fastest split of each source. Number: f, the share of communication."
    bars = {
        nodes: [_bar(found[0]) for source in _sources(study) if (found := study.best(source, batch, nodes))]
        for nodes in study.question.nodes
    }
    return parts_chart(
        _frame(study, title, f"{READING} {reading}"), {nodes: each for nodes, each in bars.items() if each}
    )


def _bar(found: Outcome) -> Bar:
    assert found.decode  # charts are drawn of decode steps alone
    return Bar(found.source, split_of(found.spec), found.decode.communication.us, found.decode.compute.us)


def _map(study: Study) -> Figure:
    """A panel for each source with a row for each batch, or one panel with a row for each source."""
    question, spec = study.question, study.question.spec
    rows = {source: [_map_row(study, source, batch) for batch in question.batches] for source in _sources(study)}
    batches = [str(batch) for batch in question.batches]
    panels = {source: dict(zip(batches, each, strict=True)) for source, each in rows.items()}
    one = len(batches) == 1
    node = f"{spec.gpus_per_node} GPU{'s' * (spec.gpus_per_node != 1)} a node"
    asked = f"batch {batches[0]}, " if one else ""
    title = f"Fastest split over {'' if one else 'batch and '}nodes: {spec.model}, {asked}{spec.prompt} tokens in, "
    frame = _frame(study, f"{title}{spec.output} out, {node}", f"Each tile: the split with the lowest TPOT. {READING}")
    if one:
        panels = {"": {source: each for source, (each,) in rows.items()}}
    return split_map(frame, "" if one else "batch", question.nodes, panels)


def _map_row(study: Study, source: str, batch: int) -> list[Tile]:
    return [_tile(study, source, batch, nodes) for nodes in study.question.nodes]


def _tile(study: Study, source: str, batch: int, nodes: int) -> Tile:
    found = study.best(source, batch, nodes)
    if not found:
        return Tile("", study.why_none(source, batch, nodes))
    return Tile(kind_of(found[0].spec), f"{split_of(found[0].spec)}\n{milliseconds(duration(found[0]).us)} ms")


def _points_of(study: Study, found: Sequence[Outcome]) -> Iterator[Point]:
    """Tensor parallelism over all GPUs by every source but the baseline."""
    for each in found:
        base = study.base(each)
        if each.source != study.baseline and each.spec.pp == 1 and base and base.decode and each.decode:
            sent, less = base.decode.communication.us, each.decode.communication.us
            if less:
                yield Point(each.source, each.nodes, base.decode.share, sent / less)


def _speedup(study: Study, batch: int, points: Sequence[Point]) -> Figure:
    title = f"Speed-up of a decode step by faster collectives, tensor parallelism:\n{title_of(_spec(study, batch))}"
    reading = (
        f"Curves: 1 / (1 - f + f / s). {amdahl.LEAST} to {amdahl.MOST}× for an all-reduce and {amdahl.WHOLE}× for a "
        "batch: arXiv 2511.09557, measured there. Lines through points: the range of f at the same s."
    )
    return amdahl_chart(_frame(study, title, reading), study.baseline, points)
