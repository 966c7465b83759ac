"""Predictions as tables and notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collbench.fit.estimate import Estimate
from collbench.llm.engines import ENGINES
from collbench.llm.spec import Spec
from collbench.plan.sizes import format_size
from collbench.predict import amdahl, published, regimes
from collbench.predict.claims import Gain, gains, shares_needed
from collbench.predict.outcome import Outcome
from collbench.predict.splits import Refused
from collbench.predict.study import Study, duration
from collbench.tables import Page, Table, counted, notes_of, numbers, table_of, words

MOST_REASONS = 12
KINDS = ("TP", "hybrid", "PP")
READING = (
    "TPOT: time per output token of one batch, a decode step; TTFT: all passes that read prompts; both without queues.",
    "f: share of communication in a decode step. Nothing overlaps, and stages of a pipeline run one after another, as",
    "with one batch in flight. Ranges add up those of the parts. measured, modelled, assumed: the weakest part of all.",
)
HEADS = (
    *numbers("nodes"), *words("split", "source"), *numbers("TPOT ms", "range", "f %", "speed-up", "at f %"),
    *numbers("TTFT ms", "all, s"), *words("collectives", "all", ""),
)  # fmt: skip


def page(study: Study, claims: bool = False) -> Page:
    """Tables of all batches, of the best split where there are several batches, of what a faster collective gives, and
    where asked for of the ``claims`` of two papers; notes on what is refused and what numbers rest on."""
    question = study.question
    tables = [_table(study, batch) for batch in question.batches]
    best = [_best(study)] if len(question.batches) > 1 else []
    faster = map(_gain_table, gains(study))
    papers = _claims(study) if claims else []
    return Page((*tables, *best, *faster, *papers), notes_of(READING, _rests_on(study), _refusals(study)))


def split_of(spec: Spec) -> str:
    """The split in words: ``TP 8``, ``PP 8``, ``TP 4 × PP 2``."""
    parts = [f"{name} {count}" for name, count in (("TP", spec.tp), ("PP", spec.pp), ("DP", spec.dp)) if count > 1]
    return " × ".join(parts) or "one GPU"


def milliseconds(us: float) -> str:
    """Milliseconds with three significant digits, whole from 100 on."""
    return short(us / 1e3)


def short(value: float) -> str:
    """A number with three significant digits, whole from 100 on."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:#.3g}"


def title_of(spec: Spec) -> str:
    """Model, engine, batch and lengths."""
    requests = counted(spec.batch, "request") + (" a replica" if spec.dp > 1 else "")
    asked = f"{requests}, {spec.prompt} tokens in, {spec.output} out"
    return f"{spec.model} on {ENGINES[spec.engine].title} · {asked} · {counted(spec.gpus_per_node, 'GPU')} a node"


def _table(study: Study, batch: int) -> Table:
    ranked = [
        study.best(source.name, batch, nodes) for nodes in study.question.nodes for source in study.question.sources
    ]
    rows = [
        _row(study, each, each is found[0] and len(found) > 1)  # of a single split, there is none that it beats
        for found in ranked
        for each in first_of_kinds(found)
    ]
    notes = [] if rows else ["No split of this batch can be predicted."]
    return table_of(title_of(replace(study.question.spec, batch=batch)), HEADS, rows, notes)


def kind_of(spec: Spec) -> str:
    """TP, PP or hybrid; TP for one GPU."""
    return "TP" if spec.pp == 1 else "PP" if spec.tp == 1 else "hybrid"


def first_of_kinds(ranked: Sequence[Outcome]) -> list[Outcome]:
    """The first split of each kind."""
    first: dict[str, Outcome] = {}
    for each in ranked:
        first.setdefault(kind_of(each.spec), each)
    return [first[kind] for kind in KINDS if kind in first]


def _row(study: Study, found: Outcome, is_fastest: bool) -> list[str]:
    speedup, share = study.speedup(found), study.share(found)
    tpot, ttft = found.tpot, found.ttft
    own = f"{100 * found.decode.share.value:.0f}" if found.decode else ""
    is_base = found.source == study.baseline
    return [
        str(found.nodes), split_of(found.spec), found.source,
        milliseconds(tpot.us) if tpot else "", _span(tpot) if tpot else "", own,
        f"{speedup.value:.2f}" if speedup and not is_base else "",
        f"{100 * share.value:.0f}" if share and not is_base else "",
        milliseconds(ttft.us) if ttft else "", short(found.latency.whole.us / 1e6) if found.latency else "",
        found.basis_of_collectives if found.sends else "-", found.basis, "fastest" if is_fastest else "",
    ]  # fmt: skip


def _span(each: Estimate) -> str:
    return f"{milliseconds(each.low)} to {milliseconds(each.high)}"


def _best(study: Study) -> Table:
    """The fastest split of every batch, over nodes."""
    nodes = study.question.nodes
    rows = [
        [str(batch), source.name, *(_fastest(study.best(source.name, batch, each)) for each in nodes)]
        for batch in study.question.batches
        for source in study.question.sources
    ]
    heads = (*numbers("batch"), *words("source"), *words(*(counted(each, "node") for each in nodes)))
    return table_of("Fastest split, and its time of a decode step in ms", heads, rows)


def _fastest(ranked: Sequence[Outcome]) -> str:
    return f"{split_of(ranked[0].spec)}: {milliseconds(duration(ranked[0]).us)}" if ranked else "none"


def _gain_table(found: Gain) -> Table:
    """How many times as fast an all-reduce over all GPUs is by a source as by the baseline."""
    heads = (*numbers("nodes", "GPUs"), *numbers(*map(format_size, amdahl.SIZES)), *words("basis"))
    rows = [
        [str(nodes), str(ranks), *(f"{ratios[size].value:.2f}" if size in ratios else "-" for size in amdahl.SIZES),
         found.bases[nodes]]
        for (nodes, ranks), ratios in found.ratios.items()
    ]  # fmt: skip
    note = (
        f"arXiv 2511.09557 has {amdahl.LEAST} to {amdahl.MOST} for NVRAR over NCCL at these sizes (measured there, "
        "Slingshot and InfiniBand)."
    )
    return table_of(f"All-reduce over all GPUs: {found.baseline} ÷ {found.source}", heads, rows, [note])


def _claims(study: Study) -> list[Table]:
    question = study.question
    beside = published.table(question, published.beside(question))
    return [_needed(), regimes.table(question.nodes, question.spec.gpus_per_node), beside]


def _needed() -> Table:
    """The share of communication that a step needs to become 1.72 times as fast."""
    rows = [[label, f"{share:.2f}"] for label, share in shares_needed()]
    title = f"f that a step needs to become {amdahl.WHOLE} times as fast, from 1 / (1 - f + f / s)"
    return table_of(title, numbers("s of its collectives", "f"), rows)


def _rests_on(study: Study) -> list[str]:
    """What the numbers rest on: the sources of all outcomes, with their basis."""
    question = study.question
    compute = study.outcomes[0].times[-1].compute
    said = [f"- {compute.source} ({compute.basis})"] if compute.source else []
    said += [f"- {source.name}: {_bases(study, source.name)}" for source in question.sources]
    said += [f"- prefill: {question.prefill.name}"] if question.prefill else []
    if question.spec.speculate:
        drafts = "with" if question.spec.draft else "without"
        said.append(f"- TPOT is that of a step in which no guess is right, {drafts} the passes of a draft model")
    return said


def _bases(study: Study, name: str) -> str:
    """What latencies of a source rest on, on the most nodes."""
    found = [each for each in study.outcomes if each.source == name and each.times[-1].communication.source]
    if not found:
        return "nothing is sent"
    most = max(found, key=lambda each: (each.nodes, each.spec.tp))
    sent = most.times[-1].communication
    first, more, _ = sent.source.partition("; ")
    return (
        f"{sent.basis} for {split_of(most.spec)} on {counted(most.nodes, 'node')}: {first}{' and more' if more else ''}"
    )


def _refusals(study: Study) -> list[str]:
    """Why splits have no prediction, each reason with the splits that it concerns."""
    missing = [Refused(each.spec, each.nodes, each.source, each.lacks) for each in study.outcomes if each.lacks]
    several = len(study.question.batches) > 1
    lines = [
        f"- without {what}: {_places(each, several)}: {why}"
        for what, found in (("a prediction", study.refused), ("TTFT", missing))
        for why, each in _by_reason(found).items()
    ]
    more = [f"- {len(lines) - MOST_REASONS} more reasons in --json"] if len(lines) > MOST_REASONS else []
    return lines[:MOST_REASONS] + more


def _by_reason(found: Iterable[Refused]) -> dict[str, list[Refused]]:
    reasons: dict[str, list[Refused]] = {}
    for each in found:
        reasons.setdefault(each.why, []).append(each)
    return reasons


def _places(found: Sequence[Refused], several: bool) -> str:
    """Up to four splits, with their batch where there are ``several``."""
    splits = list(dict.fromkeys(_place(each, several) for each in found))
    return ", ".join(splits[:4]) + (f" and {len(splits) - 4} more" if len(splits) > 4 else "")


def _place(found: Refused, with_batch: bool) -> str:
    batch = f"batch {found.spec.batch}" if with_batch else ""
    return " ".join(filter(None, [found.source, split_of(found.spec), f"on {counted(found.nodes, 'node')}", batch]))
