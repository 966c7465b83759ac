"""The rules of each engine, and which sources they were read in.

V85: vLLM 0.8.5. V10: vLLM of 2025-08. SG: SGLang of 2025-12. TRT-LLM: its PyTorch flow. Y: YALIS cf5b144.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from collbench.errors import UsageError

VOCABULARY_PADDING = 64  # V10 vocab_parallel_embedding.py:22
OWN_KERNELS = (2, 4, 6, 8)  # ranks of tensor parallelism with vLLM's own all-reduce (V10 custom_all_reduce.cuh)
CAPTURED = (1, 2, 4, *range(8, 513, 8))  # V10 config.py:4885; with 256 or more requests at once


def remainder_before_last(layers: int, stages: int) -> tuple[int, ...]:
    """Layers of each stage in vLLM: the remainder goes to the stages before the last, backwards (V10
    distributed/utils.py:89-134)."""
    each, extra = divmod(layers, stages)
    return tuple(each + (stages - 1 - extra <= stage < stages - 1) for stage in range(stages))


def remainder_last(layers: int, stages: int) -> tuple[int, ...]:
    """Layers of each stage in SGLang: the last stages have one more."""
    each, extra = divmod(layers, stages)
    return tuple(each + (stage >= stages - extra) for stage in range(stages))


def remainder_first(layers: int, stages: int) -> tuple[int, ...]:
    """Layers of each stage in TensorRT-LLM: the first stages have one more (mapping.py, pp_layers)."""
    each, extra = divmod(layers, stages)
    return tuple(each + (stage < extra) for stage in range(stages))


def padded_vocabulary(vocabulary: int, tp: int) -> int:
    """Columns of logits of one rank, of a vocabulary padded to a multiple of 64 (V10 vocab_parallel_embedding.py:255).
    Raises UsageError where the engine fails: the padded vocabulary does not divide by ``tp``."""
    padded = -(-vocabulary // VOCABULARY_PADDING) * VOCABULARY_PADDING
    if padded % tp:
        raise UsageError(
            f"the engine refuses --tp {tp}: the vocabulary of {vocabulary}, padded to {padded}, does not divide by it."
        )
    return padded // tp


def ceiling(vocabulary: int, tp: int) -> int:
    """Columns of logits of one rank, of which the last may have fewer in use (TensorRT-LLM)."""
    return -(-vocabulary // tp)


def vllm_fuses(tp: int, tokens: int, size: int, in_one_node: bool) -> bool:
    """Whether all-reduce, add and RMSNorm of ``size`` bytes are one kernel where the option is on (V10)."""
    limit = {2: 1 << 20, 4: 1 << 20, 6: 1 << 19, 8: 1 << 19}.get(tp, 0)
    return in_one_node and size <= limit


def sglang_fuses(tp: int, tokens: int, size: int, in_one_node: bool) -> bool:
    """Whether all-reduce, add and RMSNorm are one kernel where the option is on (SG)."""
    return tokens <= 2048


@dataclass(frozen=True)
class Engine:
    """What an engine does between GPUs.

    ``embeds``: the embedding is split over the vocabulary, so that its rows are all-reduced. ``logits`` is the
    collective of the logits, "" where the head is replicated; ``columns`` are their columns on one rank. ``split``:
    layers of the stages, None where the engine has none. ``slices``: a rank sends its slice over a boundary, and the
    receivers all-gather. ``returns_tokens``: token ids go round the ring of stages. ``captured``: the sizes to which
    tokens are padded, where a source says so. ``fuses`` is None where no fused kernel is known. ``experts``:
    they are spread over the ranks of a "stage", of "tp", or "" where that is unknown. ``scatters`` and ``replicas``:
    sequence parallelism, and experts under data parallelism, were read in its source. ``own_kernels``: in one node,
    NCCL does not do its small all-reduces.
    """

    name: str
    title: str
    embeds: bool
    logits: str
    columns: Callable[[int, int], int]
    split: Callable[[int, int], tuple[int, ...]] | None
    slices: bool = False
    returns_tokens: bool = False
    captured: tuple[int, ...] = ()
    fuses: Callable[[int, int, int, bool], bool] | None = None
    experts: str = ""
    scatters: bool = False
    replicas: bool = False
    own_kernels: bool = False


_ALL = (
    Engine("vllm", "vLLM V1", True, "all_gather", padded_vocabulary, remainder_before_last, slices=True,
           captured=CAPTURED, fuses=vllm_fuses, experts="stage", scatters=True, replicas=True, own_kernels=True),
    Engine("vllm-v0", "vLLM V0", True, "gather", padded_vocabulary, remainder_before_last, slices=True,
           experts="stage", own_kernels=True),
    Engine("sglang", "SGLang", True, "all_gather", padded_vocabulary, remainder_last, slices=True,
           returns_tokens=True, fuses=sglang_fuses, experts="tp"),
    Engine("trtllm", "TensorRT-LLM", True, "all_gather", ceiling, remainder_first, experts="tp"),
    Engine("yalis", "YALIS", False, "", ceiling, None),
)  # fmt: skip
ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in _ALL})


def check_heads(engine: Engine, heads: int, kv_heads: int | None, tp: int) -> None:
    """Raise UsageError for a number of ranks that the attention cannot be split over (V10 llama.py:140-150, SG
    :129-139, Y external/model.py:499-523; TensorRT-LLM derived)."""
    if heads % tp:
        raise UsageError(f"{engine.title} refuses --tp {tp}: {heads} attention heads do not divide by it.")
    if kv_heads is not None and kv_heads % tp and tp % kv_heads:
        raise UsageError(
            f"{engine.title} refuses --tp {tp}: it is neither a divisor nor a multiple of the {kv_heads} KV heads."
        )


def stages_of(engine: Engine, layers: int, stages: int) -> tuple[range, ...]:
    """The numbers of the layers of each stage. Raises UsageError where the engine has no stages, or one of them would
    be without a layer."""
    if stages == 1:
        return (range(layers),)
    if engine.split is None:
        raise UsageError(f"{engine.title} has no pipeline parallelism; leave out --pp.")
    if stages > layers:
        raise UsageError(
            f"--pp {stages} is more than the {layers} layers; what a stage without layers does is unknown."
        )
    ends = [0]
    for count in engine.split(layers, stages):
        ends.append(ends[-1] + count)
    return tuple(range(*bounds) for bounds in pairwise(ends))
