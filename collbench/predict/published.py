"""What arXiv 2507.14392 measured, beside what is predicted for it.

vLLM 0.8.5 on nodes of 4 H100 with NDR400. The numbers are second-hand, from notes on the full text; which model they
are of is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from collbench.fit.estimate import Latencies
from collbench.predict.communication import Pricing
from collbench.predict.outcome import Outcome, outcome
from collbench.predict.study import Question
from collbench.tables import Table, numbers, show_us, table_of, words

PAPER = "arXiv 2507.14392"
NODE = 4
POINTS = ((2, 1, 1.17), (4, 1, 0.86), (8, 2, 11.56))  # tensor parallelism, nodes, TPOT in milliseconds


@dataclass(frozen=True)
class Beside:
    """A published TPOT and its prediction by a source, in milliseconds. ``left_us``: what remains of the published one
    for each collective after the predicted computation, in microseconds; ``predicted_us``: the mean that is predicted.
    ``least_ms``: the computation at the peaks of the GPU, None without a roofline."""

    tp: int
    nodes: int
    published_ms: float
    source: str
    predicted_ms: float
    low_ms: float
    high_ms: float
    basis: str
    calls: int
    left_us: float
    predicted_us: float
    least_ms: float | None


def beside(question: Question) -> list[Beside]:
    """Every published point by every source, for the model, engine and lengths of the question. Raises UsageError where
    a source or the engine has not what is needed."""
    return [_beside(question, *point, source) for point in POINTS for source in question.sources]


def _beside(question: Question, tp: int, nodes: int, published: float, source: Latencies) -> Beside:
    spec = replace(
        question.spec, tp=tp, pp=1, dp=1, ep=1, gpus_per_node=NODE, batch=1, output=max(2, question.spec.output)
    )
    pricing = Pricing(source)
    found = outcome(spec, spec.listing(), nodes, pricing, pricing, question.compute)
    return _compared(found, sum(_calls(spec.listing().steps)), published)


def _calls(steps: Any) -> Iterator[int]:
    yield from (step.count for one, found in steps.items() if one.kind != "prefill" for step in found)


def _compared(found: Outcome, calls: int, published: float) -> Beside:
    assert found.decode  # at least two tokens are asked for
    whole, compute = found.decode.whole, found.decode.compute
    is_roofline = compute.low < compute.us
    return Beside(
        found.spec.tp, found.nodes, published, found.source, whole.us / 1e3, whole.low / 1e3, whole.high / 1e3,
        whole.basis, calls, (1e3 * published - compute.us) / calls, found.decode.communication.us / calls,
        compute.low / 1e3 if is_roofline else None,
    )  # fmt: skip


def table(question: Question, found: list[Beside]) -> Table:
    """Published and predicted TPOT, with what they leave for a collective."""
    heads = (
        *numbers("TP", "nodes", "published ms"), *words("source"), *numbers("predicted ms", "range", "factor"),
        *numbers("collectives", "left for one, µs", "predicted µs"), *words("basis"),
    )  # fmt: skip
    rows = [
        [str(each.tp), str(each.nodes), f"{each.published_ms:.2f}", each.source, f"{each.predicted_ms:.2f}",
         f"{each.low_ms:.2f} to {each.high_ms:.2f}", f"{each.published_ms / each.predicted_ms:.2f}", str(each.calls),
         show_us(each.left_us) if each.left_us > 0 else "none", show_us(each.predicted_us), each.basis]
        for each in found
    ]  # fmt: skip
    return table_of(f"TPOT in {PAPER}, and as predicted for {question.spec.model}", heads, rows, list(_notes(found)))


def _notes(found: list[Beside]) -> Iterator[str]:
    yield "factor: published over predicted; left for one: what computation as predicted leaves for each collective"
    yield "published: second-hand, one request, vLLM 0.8.5, 4 H100 a node, NDR400; the model is not known"
    impossible = [each for each in found if each.least_ms and each.least_ms > each.published_ms]
    if impossible:
        first = impossible[0]
        yield (
            f"not this model: its computation takes {first.least_ms:.2f} ms at TP {first.tp} even at the GPU's peaks, "
            f"more than the {first.published_ms:.2f} published"
        )


def data(found: list[Beside]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(each) for each in found]
