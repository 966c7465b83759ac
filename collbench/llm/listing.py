"""The collectives of a batch on an engine as tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from collbench.llm.engines import OWN_KERNELS
from collbench.llm.models import MOE_KINDS
from collbench.llm.passes import DRAFT, Batch, Pass
from collbench.llm.steps import Deployment, Step, steps_of
from collbench.llm.volumes import Volume, volumes
from collbench.plan.sizes import UNITS, format_size
from collbench.tables import Page, Table, counted, notes_of, numbers, table_of, words

COLUMNS = (
    "model", "engine", "dtype", "tp", "pp", "dp", "ep", "pass", "passes", "tokens", "padded_tokens", "logits_rows",
    "stage", "what", "collective", "count", "shape", "bytes", "message_bytes", "parallelism", "ranks", "groups",
    "basis",
)  # fmt: skip
_HEADS = (*numbers("stage"), *words("what", "collective"), *numbers("a pass", "shape", "bytes", "ranks"), *words("of"))


@dataclass(frozen=True)
class Listing:
    """All passes of a batch, with the collectives of each; ``draft`` is the deployment of a draft model. Stages are
    counted from 1 in what is printed."""

    deployment: Deployment
    batch: Batch
    draft: Deployment | None = None

    def deployment_of(self, one: Pass) -> Deployment:
        """What a pass goes through: the model, or the draft model."""
        return self.draft if self.draft and one.kind == DRAFT else self.deployment

    @cached_property
    def passes(self) -> dict[Pass, int]:
        """Every pass, and how many there are."""
        return self.batch.passes()

    @cached_property
    def steps(self) -> dict[Pass, list[Step]]:
        """The collectives of each pass."""
        return {one: self._steps(one) for one in self.passes}

    def _steps(self, one: Pass) -> list[Step]:
        """Those of a draft model are derived: no source of its passes was read."""
        deployment = self.deployment_of(one)
        found = steps_of(deployment, one)
        return found if deployment is self.deployment else [replace(step, derived=True) for step in found]

    def volumes(self, one: Pass) -> dict[int, Volume]:
        """The volume of each stage in one pass."""
        return volumes(self.steps[one], self.deployment.parallel)

    def totals(self) -> dict[int, Volume]:
        """The volume of each stage over all passes."""
        whole = [
            replace(step, count=step.count * times) for one, times in self.passes.items() for step in self.steps[one]
        ]
        return volumes(whole, self.deployment.parallel)

    def shown(self) -> list[Pass]:
        """The largest pass of each kind."""
        largest = {one.kind: one for one in sorted(self.passes, key=lambda one: (one.tokens, one.rows))}
        return [largest[kind] for kind in dict.fromkeys(one.kind for one in self.passes)]


def page(listing: Listing) -> Page:
    """Tables of the collectives of the largest pass of each kind and of volumes, with notes."""
    tables = [_table(listing, one) for one in listing.shown()]
    return Page((*tables, _volume_table(listing)), notes_of(list(_notes(listing))))


def _title(listing: Listing, one: Pass) -> str:
    deployment = listing.deployment_of(one)
    model, engine, parallel = deployment.model, deployment.engine, deployment.parallel
    spread = f"TP {parallel.tp}, PP {parallel.pp}, DP {parallel.dp}, EP {parallel.ep}"
    padded = deployment.padded(one)
    tokens = counted(one.tokens, "token") + (f", padded to {padded}" if padded != one.tokens else "")
    return f"{one.kind}: {_times(listing, one)} of {tokens} · {model.name} on {engine.title}, {spread}"


def _times(listing: Listing, one: Pass) -> str:
    most, batch = listing.passes[one], listing.batch
    each = {"verify": 1, DRAFT: batch.guesses}.get(one.kind)  # passes of a decode step
    fewest = each * batch.least_decode_passes() if each and batch.chunk is None else most
    noun = "pass" if most == 1 else "passes"
    return f"{most:,} {noun}" if fewest == most else f"{fewest:,} to {most:,} {noun}"


def _table(listing: Listing, one: Pass) -> Table:
    steps = listing.steps[one]
    notes = [] if steps else ["Nothing is sent."]
    return table_of(_title(listing, one), _HEADS, map(_row, steps), notes)


def _row(step: Step) -> list[str]:
    what = f"{step.what} (derived)" if step.derived else step.what
    shape = " × ".join(map(str, step.shape))
    count, ranks = f"{step.count:,}", str(step.ranks)
    return [str(step.stage + 1), what, step.operation, count, shape, format_size(step.bytes), ranks, step.kind.upper()]


def _volume_table(listing: Listing) -> Table:
    rows = [_volume_row(one.kind, *each) for one in listing.shown() for each in listing.volumes(one).items()]
    rows += [_volume_row("all passes", *each) for each in listing.totals().items()]
    heads = (*words("pass"), *numbers("stage", "sent by one GPU", "in nodes, all GPUs", "between nodes, all GPUs"))
    title = f"Volumes, {counted(listing.deployment.parallel.node, 'GPU')} a node"
    return table_of(title, heads, rows, [] if rows else ["Nothing is sent."])


def _volume_row(kind: str, stage: int, volume: Volume) -> list[str]:
    return [kind, str(stage + 1), *map(show_volume, (volume.busiest, volume.in_node, volume.between))]


def show_volume(size: Fraction) -> str:
    """Bytes with at least four significant digits, in the largest binary unit that fits."""
    unit = next((unit for unit in ("G", "M", "K") if size >= UNITS[unit]), "")
    value = float(size / UNITS[unit])
    return (f"{value:,.0f}" if value >= 1000 else f"{value:.4g}") + (f" {unit}iB" if unit else " B")


def _notes(listing: Listing) -> Iterator[str]:
    deployment, batch, parallel = listing.deployment, listing.batch, listing.deployment.parallel
    title = deployment.engine.title
    yield "- shape and bytes: what one rank puts in; volumes: those of rings in the order of ranks: TP, PP, DP"
    kinds = dict.fromkeys(each.model.kind for each in (deployment, listing.draft) if each)
    for kind in kinds:
        if kind not in {"llama", *MOE_KINDS}:
            yield f"- {kind} is taken to send what Llama sends (derived)"
    if parallel.dp > 1:
        yield f"- batch and tokens are those of each of the {parallel.dp} replicas"
    if not deployment.sizes and not deployment.scatters:
        yield f"- tokens are not padded; give the sizes of the CUDA graphs of {title} as --pad"
    if len(listing.passes) > len(listing.shown()):
        yield f"- the largest of {len(listing.passes)} different passes; --json and -o list all"
    if batch.guesses:
        left_out = "the prefill of the draft model is" if listing.draft else "drafts are"
        yield f"- volumes of all passes: none of the guesses is right, which is the most; {left_out} not included"
    if parallel.pp > 1:
        yield "- every boundary also has a message of metadata between CPUs, which is not listed"
    if _has_own_kernel(deployment):
        yield f"- in one node, {title} does small all-reduces with a kernel of its own instead of NCCL"
    if any(step.operation == "all_to_all" for steps in listing.steps.values() for step in steps):
        yield "- all_to_all: the most, where all experts of a token are on different ranks; evenly spread in volumes"


def _has_own_kernel(deployment: Deployment) -> bool:
    """Whether an engine's own all-reduce takes part: every group is in one node and has a size that it supports."""
    parallel = deployment.parallel
    near = all(parallel.in_one_node(parallel.tp_groups(stage)) for stage in range(parallel.pp))
    return deployment.engine.own_kernels and parallel.tp in OWN_KERNELS and near


def data(listing: Listing) -> dict[str, Any]:
    """Everything for JSON; volumes in bytes."""
    deployment, batch = listing.deployment, listing.batch
    return {
        **_setting(deployment),
        "batch": batch.requests, "prompt": batch.prompt, "output": batch.output, "speculate": batch.guesses,
        "draft": listing.draft.model.name if listing.draft else None,
        "chunk": batch.chunk, "pads_to": list(deployment.sizes), "sequence_parallel": deployment.scatters,
        "fuse_norms": deployment.fuses, "all2all": deployment.all_to_all, "gpus_per_node": deployment.parallel.node,
        "layers": [len(layers) for layers in deployment.stages],
        "passes": [_pass_data(listing, one) for one in listing.passes],
        "volumes": _volume_data(listing.totals()),
    }  # fmt: skip


def _setting(deployment: Deployment) -> dict[str, Any]:
    parallel = deployment.parallel
    return {
        "model": deployment.model.name, "engine": deployment.engine.name, "dtype": deployment.dtype.name,
        "tp": parallel.tp, "pp": parallel.pp, "dp": parallel.dp, "ep": parallel.ep,
    }  # fmt: skip


def _pass_facts(listing: Listing, one: Pass) -> dict[str, Any]:
    return {
        "pass": one.kind, "passes": listing.passes[one], "tokens": one.tokens,
        "padded_tokens": listing.deployment_of(one).padded(one), "logits_rows": one.rows,
    }  # fmt: skip


def _pass_data(listing: Listing, one: Pass) -> dict[str, Any]:
    steps = [_step_data(step) for step in listing.steps[one]]
    return {**_pass_facts(listing, one), "steps": steps, "volumes": _volume_data(listing.volumes(one))}


def _step_data(step: Step) -> dict[str, Any]:
    return {
        "stage": step.stage + 1, "what": step.what, "collective": step.operation, "count": step.count,
        "shape": list(step.shape), "bytes": step.bytes, "message_bytes": step.message_bytes, "parallelism": step.kind,
        "ranks": step.ranks, "groups": [list(group) for group in step.groups],
        "basis": "derived" if step.derived else "source",
    }  # fmt: skip


def _volume_data(found: dict[int, Volume]) -> list[dict[str, Any]]:
    return [
        {"stage": stage + 1, "sent_by_one_gpu": float(volume.busiest), "in_nodes": float(volume.in_node),
         "between_nodes": float(volume.between)}
        for stage, volume in found.items()
    ]  # fmt: skip


def table(listing: Listing) -> str:
    """CSV: a row for each collective of each pass, with COLUMNS; shapes as 8x8192, groups as 0 1|2 3."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one, steps in listing.steps.items():
        for step in steps:
            row = {**_setting(listing.deployment_of(one)), **_pass_facts(listing, one), **_step_data(step)}
            writer.writerow({**row, "shape": _joined(step.shape, "x"), "groups": _groups(step)})
    return text.getvalue()


def _joined(values: Sequence[int], by: str) -> str:
    return by.join(map(str, values))


def _groups(step: Step) -> str:
    return "|".join(_joined(group, " ") for group in step.groups)
