"""Predictions as JSON and CSV; times in microseconds, with range and basis."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from collbench.fit.estimate import Estimate
from collbench.llm.models import find_model
from collbench.llm.spec import Spec
from collbench.predict import amdahl, published
from collbench.predict.claims import Gain, gains, shares_needed
from collbench.predict.outcome import Outcome, Range, Time
from collbench.predict.splits import Refused
from collbench.predict.study import Study

_TIMES = ("tpot", "decode_communication", "decode_compute", "ttft", "prefill_communication", "prefill_compute",
          "latency", "latency_communication")  # fmt: skip
_RATIOS = ("share", "speedup", "baseline_share", "latency_share")
COLUMNS = (
    "model", "engine", "dtype", "batch", "prompt", "output", "gpus_per_node", "nodes", "gpus", "tp", "pp", "dp", "ep",
    "source", "decode_steps",
    *(f"{name}{end}" for name in _TIMES for end in ("_us", "_low_us", "_high_us", "_basis")),
    *(f"{name}{end}" for name in _RATIOS for end in ("", "_low", "_high")),
    "fastest", "basis", "sources", "lacks", "refused",
)  # fmt: skip


def data(study: Study) -> dict[str, Any]:
    """Everything for JSON."""
    question = study.question
    return {
        "spec": str(question.spec), "baseline": study.baseline, "compute": question.compute.name,
        "prefill": question.prefill.name if question.prefill else None,
        "predictions": [{name: row[name] for name in COLUMNS if name in row} for row in _rows(study)],
        "all_reduce_speedups": [_gain(each) for each in gains(study)],
        "share_needed": {"speedup": amdahl.WHOLE, "by_speedup_of_collectives": dict(shares_needed())},
        "published": {"paper": published.PAPER, "predictions": published.data(published.beside(question))},
    }  # fmt: skip


def table(study: Study) -> str:
    """CSV: a row for each split and source, with COLUMNS; a reason is in ``refused`` where there is no prediction, in
    ``lacks`` where there is no TTFT."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(study))
    return text.getvalue()


def _rows(study: Study) -> Iterator[dict[str, Any]]:
    dtype = {"dtype": _dtype(study.question.spec)}
    fastest = {id(found[0]) for found in _rankings(study) if found}
    for each in study.outcomes:
        yield {**dtype, **_place(each), **_numbers(study, each), "fastest": id(each) in fastest}
    for refused in study.refused:
        yield {**dtype, **_place(refused), "refused": refused.why}


def _dtype(spec: Spec) -> str:
    """The type that was asked for, or the config's."""
    own = find_model(spec.model).dtype
    return spec.dtype or (own.name if own else "")


def _rankings(study: Study) -> Iterator[list[Outcome]]:
    question = study.question
    for batch in question.batches:
        for nodes in question.nodes:
            for source in question.sources:
                yield study.best(source.name, batch, nodes)


def _place(each: Outcome | Refused) -> dict[str, Any]:
    spec = each.spec
    names = ("model", "engine", "batch", "prompt", "output", "gpus_per_node", "tp", "pp", "dp", "ep")
    found = {name: getattr(spec, name) for name in names}
    return {**found, "nodes": each.nodes, "gpus": each.nodes * spec.gpus_per_node,
            "source": each.source}  # fmt: skip


def _numbers(study: Study, each: Outcome) -> dict[str, Any]:
    times, shares = dict[str, Estimate](), dict[str, Range]()
    if each.prefill and each.latency:
        times |= {"ttft": each.prefill.whole, **_parts("prefill", each.prefill)}
        times |= {"latency": each.latency.whole, "latency_communication": each.latency.communication}
        shares["latency_share"] = each.latency.share
    if each.decode:
        times |= {"tpot": each.decode.whole, **_parts("decode", each.decode)}
        shares["share"] = each.decode.share
    found = {"speedup": study.speedup(each), "baseline_share": study.share(each)}
    shares |= {name: value for name, value in found.items() if value}
    sources = dict.fromkeys(time.source for time in times.values() if time.source)
    row: dict[str, Any] = {"decode_steps": each.steps, "basis": each.basis, "sources": "; ".join(sources)}
    row |= {"lacks": each.lacks} if each.lacks else {}
    for name, time in times.items():
        row |= _time(name, time)
    for name, share in shares.items():
        row |= _ratio(name, share)
    return row


def _parts(name: str, time: Time) -> dict[str, Estimate]:
    return {f"{name}_communication": time.communication, f"{name}_compute": time.compute}


def _time(name: str, each: Estimate) -> dict[str, Any]:
    values = (("_us", each.us), ("_low_us", each.low), ("_high_us", each.high), ("_basis", each.basis))
    return {f"{name}{end}": value for end, value in values}


def _ratio(name: str, each: Range) -> dict[str, float]:
    return {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}


def _gain(found: Gain) -> dict[str, Any]:
    worlds = [
        {"nodes": nodes, "gpus": ranks, "basis": found.bases[nodes],
         "speedups": [{"bytes": size, **asdict(ratio)} for size, ratio in ratios.items()]}
        for (nodes, ranks), ratios in found.ratios.items()
    ]  # fmt: skip
    return {"baseline": found.baseline, "source": found.source, "worlds": worlds}
