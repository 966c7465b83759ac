"""Compute times of layers and head as ``collbench llm replay --compute gemm`` measured them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from collbench.errors import UsageError
from collbench.fit.estimate import ASSUMED, MEASURED, Estimate
from collbench.llm.models import Model
from collbench.llm.passes import Batch, Pass
from collbench.llm.spec import Spec, parse_spec
from collbench.llm.steps import Deployment
from collbench.plan.dtypes import Dtype
from collbench.predict.compute import Roofline
from collbench.predict.sums import Counted, total
from collbench.results.replays import HEAD, LAYERS, ReplayRecord, load
from collbench.tables import counted


@dataclass(frozen=True)
class Replayed:
    """The matrix products of a replay: rows of the parts LAYERS and HEAD of ``path``. A replay has neither attention,
    which is added by ``roofline`` where there is one, nor norms."""

    rows: tuple[ReplayRecord, ...]
    path: str
    roofline: Roofline | None = None

    @property
    def name(self) -> str:
        """The file, and what is added to it."""
        added = f", attention by {self.roofline.name}" if self.roofline else ", without attention"
        return f"matrix products replayed in {self.path}{added}"

    def of(self, deployment: Deployment, batch: Batch, one: Pass) -> Estimate:
        """As `Compute.of`. Raises UsageError where the replay was of another model, type, number of ranks of tensor
        parallelism, kind of pass or number of tokens."""
        found = [row for row in self.rows if _fits(row, deployment, one)]
        layers, head = (_time(row for row in found if row.part == part) for part in (LAYERS, HEAD))
        if layers is None or head is None:
            words = f"{deployment.model.name} in {deployment.dtype.name} at TP {deployment.parallel.tp}"
            size = f"{counted(deployment.padded(one), 'token')} and {counted(one.rows, 'row')} of logits"
            raise UsageError(f"{self.path} has no matrix products of {words} in a {one.kind} pass of {size}.")
        parts: list[Counted] = [(deployment.model.layers, layers), (1, head)]
        if self.roofline:
            parts.append((1, self.roofline.attention(deployment, batch, one)))
        whole = total(parts)  # that attention takes no time is assumed
        return Estimate(whole.us, whole.low, whole.high, ASSUMED, f"compute: {self.name}")


def replayed(path: Path, roofline: Roofline | None) -> Replayed:
    """The matrix products of a file of ``llm replay``. Raises UsageError for another file, and one without any."""
    rows = [row for row in load(path) if row.compute == "gemm" and row.part in (LAYERS, HEAD) and row.us_median]
    if not rows:
        raise UsageError(f"{path} has no time of matrix products; write it with collbench llm replay --compute gemm.")
    return Replayed(tuple(rows), str(path), roofline)


def _fits(row: ReplayRecord, deployment: Deployment, one: Pass) -> bool:
    """Whether a row is of the same products: those of a layer depend on neither stages nor replicas."""
    spec = parse_spec(row.spec)
    same = (row.pass_kind, row.tokens, spec.tp, spec.engine) == (
        one.kind, deployment.padded(one), deployment.parallel.tp, deployment.engine.name,
    )  # fmt: skip
    if not same or _ran(spec)[:2] != (deployment.model, deployment.dtype):
        return False
    return row.part == LAYERS or _ran(spec)[2][one.kind] == one.rows


@cache
def _ran(spec: Spec) -> tuple[Model, Dtype, Mapping[str, int]]:
    """Model and type of a replay, and the rows of logits of each kind of pass that it may have been of."""
    found = spec.listing()
    return found.deployment.model, found.deployment.dtype, {one.kind: one.rows for one in found.shown()}


def _time(rows: Iterable[ReplayRecord]) -> Estimate | None:
    """The median time of one layer over stages and launches, in microseconds, and the range of their intervals."""
    found = [_ends(row) for row in rows]
    if not found:
        return None
    middles, lows, highs = zip(*found, strict=True)
    return Estimate(median(middles), min(lows), max(highs), MEASURED, "")


def _ends(row: ReplayRecord) -> Sequence[float]:
    """Median and interval of one of the row's ``count`` layers."""
    middle = row.us_median or 0.0
    return [value / row.count for value in (middle, row.us_ci_low or middle, row.us_ci_high or middle)]
