"""The collectives of a pass, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collbench.errors import UsageError
from collbench.llm.engines import Engine, check_heads, stages_of
from collbench.llm.models import Model
from collbench.llm.parallel import Parallel
from collbench.llm.passes import Pass
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.plan.layout import Groups

ALL_TO_ALLS = ("naive", "deepep", "pplx")
TOKEN_ID = DTYPES["int64"]  # D: the type of what sampling returns in PyTorch


@dataclass(frozen=True)
class Step:
    """A collective that a pass runs ``count`` times on a stage, in each of ``groups`` of ranks.

    ``shape`` and ``bytes`` are those of what one rank puts in. ``kind`` is the parallelism of the groups: tp, dp, ep,
    or pp for pairs of sender and receiver. ``derived``: follows from a source, and was not read in one.
    """

    stage: int
    what: str
    operation: str
    count: int
    shape: tuple[int, ...]
    bytes: int
    dtype: Dtype
    kind: str
    groups: Groups
    derived: bool = False

    @property
    def ranks(self) -> int:
        """Ranks of a group."""
        return len(self.groups[0])

    @property
    def message_bytes(self) -> int:
        """The larger of a rank's two buffers, which is the size of a message in ``collbench sweep``."""
        return self.bytes * (self.ranks if self.operation in {"gather", "all_gather"} else 1)


@dataclass(frozen=True)
class Deployment:
    """A model on an engine, spread over GPUs.

    ``sizes`` are those to which tokens are padded. ``scatters``: sequence parallelism. ``fuses``: all-reduce, residual
    add and RMSNorm in one kernel where the engine can. ``all_to_all``: how experts of several replicas exchange tokens.
    Raises UsageError for what the engine refuses, and for what no source that was read describes.
    """

    model: Model
    engine: Engine
    parallel: Parallel
    dtype: Dtype
    sizes: tuple[int, ...] = ()
    scatters: bool = False
    fuses: bool = False
    all_to_all: str = "naive"

    def __post_init__(self) -> None:
        check_heads(self.engine, self.model.heads, self.model.kv_heads, self.parallel.tp)
        stages_of(self.engine, self.model.layers, self.parallel.pp)
        if self.parallel.tp > 1 and self.engine.logits:
            self.engine.columns(self.model.vocabulary, self.parallel.tp)
        _check_experts(self)
        _check_reductions(self)

    @property
    def stages(self) -> tuple[range, ...]:
        """The numbers of the layers of each stage."""
        return stages_of(self.engine, self.model.layers, self.parallel.pp)

    @property
    def exchanges(self) -> bool:
        """Whether experts take part in the passes of several replicas."""
        return bool(self.model.moe_layers) and self.parallel.dp > 1

    def padded(self, one: Pass) -> int:
        """Tokens of a pass after padding: to the next captured size, of which sequence parallelism keeps those that
        divide by the number of ranks, and above them, with sequence parallelism, to the next multiple of it (V10).
        Engines other than vLLM V1 pad decode steps alone (D)."""
        step = self.parallel.tp if self.scatters else 1
        pads = one.kind != "prefill" or bool(self.engine.captured)
        sizes = [size for size in self.sizes if pads and size >= one.tokens and size % step == 0]
        return min(sizes, default=-(-one.tokens // step) * step)


def _check_experts(deployment: Deployment) -> None:
    engine, model, parallel = deployment.engine, deployment.model, deployment.parallel
    if parallel.ep > 1 and not model.moe_layers:
        raise UsageError(f"--ep {parallel.ep} needs experts, and {model.name} has none.")
    if deployment.exchanges and not engine.replicas:
        raise UsageError(f"what {engine.title} sends for experts with --dp {parallel.dp} is not known; leave out --dp.")
    if parallel.ep > 1 and not engine.experts:
        raise UsageError(f"what {engine.title} sends with --ep {parallel.ep} is not known; leave out --ep.")
    whole = parallel.tp * parallel.dp
    if engine.experts == "stage" and parallel.ep not in {1, whole}:
        raise UsageError(
            f"{engine.title} spreads experts over all ranks of a stage or none: --ep {whole}, not {parallel.ep}."
        )
    if engine.experts == "tp" and parallel.tp % parallel.ep:
        raise UsageError(
            f"{engine.title} spreads experts over --tp {parallel.tp}, which --ep {parallel.ep} must divide."
        )
    if deployment.exchanges and deployment.all_to_all != "naive" and parallel.ep == 1:
        raise UsageError(f"--all2all {deployment.all_to_all} needs --ep {whole}.")


def _check_reductions(deployment: Deployment) -> None:
    engine = deployment.engine
    if deployment.scatters and not engine.scatters:
        raise UsageError(f"sequence parallelism is known of vLLM V1 alone, not of {engine.title}.")
    if deployment.fuses and engine.fuses is None:
        raise UsageError(f"when {engine.title} fuses all-reduce and RMSNorm is not known; leave out --fuse-norms.")
    if deployment.scatters and deployment.fuses:
        raise UsageError("--sequence-parallel leaves no all-reduce that --fuse-norms could fuse; give one of them.")


def steps_of(deployment: Deployment, one: Pass) -> list[Step]:
    """The collectives of a pass, in the order of stages and in each about that of time; none among fewer than two
    ranks."""
    stages = range(deployment.parallel.pp)
    return [step for stage in stages for step in Stage(deployment, one, stage).steps() if step.count]


@dataclass(frozen=True)
class Stage:
    """One stage in one pass."""

    deployment: Deployment
    one: Pass
    number: int

    @property
    def tokens(self) -> int:
        return self.deployment.padded(self.one)

    @property
    def hidden(self) -> tuple[int, int]:
        """The shape of the hidden states."""
        return self.tokens, self.deployment.model.hidden

    @property
    def tp(self) -> int:
        return self.deployment.parallel.tp

    @property
    def layers(self) -> range:
        return self.deployment.stages[self.number]

    @property
    def is_last(self) -> bool:
        return self.number == self.deployment.parallel.pp - 1

    def steps(self) -> Iterator[Step]:
        """All collectives of the stage."""
        yield from self._received()
        if self.number == 0 and self.deployment.engine.embeds:
            yield from self._reduced("embedding", 1)
        yield from self._reduced("attention output", len(self.layers), norms=len(self.layers))
        sparse = [layer for layer in self.layers if layer in self.deployment.model.moe_layers]
        dense = [layer for layer in self.layers if layer not in self.deployment.model.moe_layers]
        yield from self._reduced("MLP output", len(dense), norms=self._norms(dense))
        yield from self._experts(sparse)
        yield from self._logits()
        yield from self._sent()

    def _norms(self, layers: Sequence[int]) -> int:
        """Of these layers, those whose output meets its RMSNorm on the same stage (D)."""
        return len(layers) - (not self.is_last and self.layers[-1] in layers)

    def _step(
        self, what: str, operation: str, count: int, shape: tuple[int, ...], kind: str = "tp", *,
        dtype: Dtype | None = None, derived: bool = False,
    ) -> Step:  # fmt: skip
        of_type, groups = dtype or self.deployment.dtype, self._groups(kind)
        some, size = count if len(groups[0]) > 1 else 0, math.prod(shape) * of_type.itemsize
        return Step(self.number, what, operation, some, shape, size, of_type, kind, groups, derived)

    def _groups(self, kind: str) -> Groups:
        parallel = self.deployment.parallel
        by_kind = {"tp": parallel.tp_groups, "dp": parallel.dp_groups, "ep": parallel.moe_groups, "pp": parallel.hops}
        return by_kind[kind](self.number)

    def _reduced(self, what: str, count: int, norms: int = 0, derived: bool = False) -> Iterator[Step]:
        """``count`` sums of hidden states over tensor parallelism, of which ``norms`` are followed by residual add and
        RMSNorm."""
        if self.deployment.scatters:
            yield self._step(what, "reduce_scatter", count, self.hidden)
            yield self._step(what, "all_gather", count, (self.tokens // self.tp, self.hidden[1]))
            return
        fused = norms if self._fuses() else 0
        yield self._step(what, "all_reduce", count - fused, self.hidden, derived=derived)
        yield self._step(what, "all_reduce_rms_norm", fused, self.hidden, derived=True)

    def _fuses(self) -> bool:
        rule, size = self.deployment.engine.fuses, math.prod(self.hidden) * self.deployment.dtype.itemsize
        near = self.deployment.parallel.in_one_node(self._groups("tp"))
        return self.deployment.fuses and rule is not None and rule(self.tp, self.tokens, size, near)

    def _experts(self, layers: Sequence[int]) -> Iterator[Step]:
        """Of layers with experts: one sum, with experts of several replicas also dispatch and combine."""
        if not self.deployment.exchanges:
            unread = self.deployment.engine.experts != "stage"
            yield from self._reduced("experts' output", len(layers), self._norms(layers), unread)
        elif self.deployment.all_to_all == "naive":
            yield from self._naive_exchange(len(layers))
            yield from self._reduced("experts' output", len(layers), norms=self._norms(layers))
        else:
            yield from self._direct_exchange(len(layers))

    def _naive_exchange(self, count: int) -> Iterator[Step]:
        """Every replica broadcasts its hidden states and router logits; the outputs of all are summed (V10
        all2all.py:33-71)."""
        replicas = self.deployment.parallel.dp
        logits = (self.tokens, self.deployment.model.experts)
        yield self._step("dispatch, hidden states", "broadcast", count * replicas, self.hidden, "dp")
        yield self._step("dispatch, router logits", "broadcast", count * replicas, logits, "dp")
        yield self._step("combine", "all_reduce", count, (replicas * self.tokens, self.hidden[1]), "dp")

    def _direct_exchange(self, count: int) -> Iterator[Step]:
        """Every token goes to the ranks of its experts, at most as many as it has experts, and comes back (D); the
        output of shared experts is summed apart (V10 layer.py:1369-1394)."""
        model = self.deployment.model
        shape = (self.tokens, model.top_k, model.hidden)
        yield self._step("dispatch", "all_to_all", count, shape, "ep", derived=True)
        if model.shared_experts:
            yield from self._reduced("shared experts' output", count)
        yield self._step("combine", "all_to_all", count, shape, "ep", derived=True)

    def _logits(self) -> Iterator[Step]:
        engine = self.deployment.engine
        if self.is_last and engine.logits and self.tp > 1:
            columns = engine.columns(self.deployment.model.vocabulary, self.tp)
            yield self._step("logits", engine.logits, 1, (self.one.rows, columns))

    def _slices(self, elements: int) -> bool:
        """Whether a boundary carries slices: only where elements divide by ranks (V10 parallel_state.py:689)."""
        return self.deployment.engine.slices and self.tp > 1 and elements % self.tp == 0

    def _sent(self) -> Iterator[Step]:
        """Hidden states and residual to the next stage, and token ids round the ring."""
        if not self.is_last:
            for what in ("hidden states", "residual"):
                yield self._over(what, self.hidden)
        if self.deployment.engine.returns_tokens and self.deployment.parallel.pp > 1:
            yield self._over("token ids", (self.one.rows,), TOKEN_ID)

    def _over(self, what: str, shape: tuple[int, ...], dtype: Dtype | None = None) -> Step:
        elements = math.prod(shape)
        sent = (elements // self.tp,) if self._slices(elements) else shape
        return self._step(f"{what} to the next stage", "send", 1, sent, "pp", dtype=dtype, derived=dtype is not None)

    def _received(self) -> Iterator[Step]:
        """All-gathers of the slices that have arrived; a residual under sequence parallelism stays sharded."""
        elements = math.prod(self.hidden)
        if self.number > 0 and self._slices(elements):
            for what in ("hidden states", *(() if self.deployment.scatters else ("residual",))):
                yield self._step(f"{what} of the stage before", "all_gather", 1, (elements // self.tp,))
        if self.deployment.engine.returns_tokens and self.deployment.parallel.pp > 1 and self._slices(self.one.rows):
            shape = (self.one.rows // self.tp,)
            yield self._step("token ids of the stage before", "all_gather", 1, shape, dtype=TOKEN_ID, derived=True)
