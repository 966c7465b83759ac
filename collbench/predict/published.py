"""What arXiv 2507.14392 measured, beside what is predicted for it.

vLLM 0.8.5 on nodes of 4 H100 with NDR400. The numbers are second-hand, from notes on the full text; which model they
are of is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from collbench.errors import UsageError
from collbench.fit.estimate import Latencies
from collbench.llm.listing import Listing
from collbench.predict.communication import Pricing
from collbench.predict.compute import Roofline
from collbench.predict.outcome import Outcome, outcome
from collbench.predict.splits import Refused
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


def beside(question: Question) -> list[Beside | Refused]:
    """Every published point by every source, for the model, engine and lengths of the question; a reason where engine
    or source have not what is needed."""
    return [_beside(question, *point, source) for point in POINTS for source in question.sources]


def _beside(question: Question, tp: int, nodes: int, published: float, source: Latencies) -> Beside | Refused:
    asked = question.spec
    spread = replace(asked, tp=tp, pp=1, dp=1, ep=1, gpus_per_node=NODE)
    spec = replace(spread, batch=1, output=max(2, asked.output), speculate=0, draft=None, chunk=None)
    pricing = Pricing(source)
    try:
        listing = spec.listing()
        found = outcome(spec, listing, nodes, pricing, pricing, question.compute)
    except UsageError as error:
        return Refused(spec, nodes, source.name, str(error))
    least = found.decode.compute.low / 1e3 if found.decode and isinstance(question.compute, Roofline) else None
    return _compared(found, sum(_calls(listing)), published, least)


def _calls(listing: Listing) -> Iterator[int]:
    """How often each collective of a decode step runs."""
    one = listing.shown()[-1]
    yield from (step.count for step in listing.steps[one])


def _compared(found: Outcome, calls: int, published: float, least: float | None) -> Beside:
    assert found.decode  # at least two tokens are asked for
    whole, compute = found.decode.whole, found.decode.compute
    return Beside(
        found.spec.tp, found.nodes, published, found.source, whole.us / 1e3, whole.low / 1e3, whole.high / 1e3,
        whole.basis, calls, (1e3 * published - compute.us) / calls, found.decode.communication.us / calls, least,
    )  # fmt: skip


def table(question: Question, found: Sequence[Beside | Refused]) -> Table:
    """Published and predicted TPOT, with what they leave for a collective."""
    heads = (
        *numbers("TP", "nodes", "published ms"), *words("source"), *numbers("predicted ms", "range", "factor"),
        *numbers("collectives", "left for one, µs", "predicted µs"), *words("basis"),
    )  # fmt: skip
    rows = [_row(each) for each in found if isinstance(each, Beside)]
    title = f"TPOT in {PAPER}, and as predicted for {question.spec.model}"
    return table_of(title, heads, rows, list(_notes(found)))


def _row(each: Beside) -> list[str]:
    return [
        str(each.tp), str(each.nodes), f"{each.published_ms:.2f}", each.source, f"{each.predicted_ms:.2f}",
        f"{each.low_ms:.2f} to {each.high_ms:.2f}", f"{each.published_ms / each.predicted_ms:.2f}", str(each.calls),
        show_us(each.left_us) if each.left_us > 0 else "none", show_us(each.predicted_us), each.basis,
    ]  # fmt: skip


def _notes(found: Sequence[Beside | Refused]) -> Iterator[str]:
    yield "factor: published over predicted; left for one: what computation as predicted leaves for each collective"
    yield "published: second-hand, one request, vLLM 0.8.5, 4 H100 a node, NDR400; the model is not known"
    predicted = [each for each in found if isinstance(each, Beside)]
    yield from dict.fromkeys(f"{each.source}: {each.why}" for each in found if isinstance(each, Refused))
    for first in [each for each in predicted if each.least_ms and each.least_ms > each.published_ms][:1]:
        yield (
            f"not this model: at the peaks of the GPU its computation takes {first.least_ms:.2f} ms at TP {first.tp}, "
            f"more than the {first.published_ms:.2f} published"
        )


def data(found: Sequence[Beside | Refused]) -> list[dict[str, Any]]:
    """For JSON; without what has no prediction."""
    return [asdict(each) for each in found if isinstance(each, Beside)]
