"""Rules of engines: layers of stages, vocabulary, heads, and when norms are fused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from deployments import deployed

from collbench.errors import UsageError
from collbench.llm.engines import (
    CAPTURED,
    ENGINES,
    ceiling,
    padded_vocabulary,
    remainder_before_last,
    remainder_first,
    remainder_last,
    sglang_fuses,
    stages_of,
    vllm_fuses,
)
from collbench.llm.models import find_model
from collbench.llm.parallel import Parallel
from collbench.llm.passes import Pass
from collbench.llm.steps import Deployment
from collbench.plan.dtypes import DTYPES


@pytest.mark.parametrize(
    ("layers", "stages", "vllm", "sglang", "trtllm"),
    [
        (126, 4, (31, 32, 32, 31), (31, 31, 32, 32), (32, 32, 31, 31)),
        (61, 4, (15, 15, 16, 15), (15, 15, 15, 16), (16, 15, 15, 15)),
        (80, 4, (20, 20, 20, 20), (20, 20, 20, 20), (20, 20, 20, 20)),
        (7, 4, (2, 2, 2, 1), (1, 2, 2, 2), (2, 2, 2, 1)),
    ],
)
def test_uneven_layers(
    layers: int, stages: int, vllm: tuple[int, ...], sglang: tuple[int, ...], trtllm: tuple[int, ...]
) -> None:
    assert remainder_before_last(layers, stages) == vllm
    assert remainder_last(layers, stages) == sglang
    assert remainder_first(layers, stages) == trtllm


@pytest.mark.parametrize("engine", ["vllm", "vllm-v0", "sglang", "trtllm"])
def test_stages_cover_every_layer_once(engine: str) -> None:
    for layers in (28, 61, 94, 126):
        for stages in range(1, 17):
            found = stages_of(ENGINES[engine], layers, stages)
            assert [layer for stage in found for layer in stage] == list(range(layers))
            assert max(map(len, found)) - min(map(len, found)) <= 1


def test_remainders_of_405b() -> None:
    assert [126 % stages for stages in (4, 8, 16)] == [2, 6, 14]
    assert [len(stage) for stage in stages_of(ENGINES["vllm"], 126, 8)] == [15, 16, 16, 16, 16, 16, 16, 15]


def test_columns_of_logits() -> None:
    assert padded_vocabulary(128256, 8) == 16032  # 64 * 2004 / 8
    assert padded_vocabulary(32001, 2) == 16032  # padded to 32064
    assert ceiling(32001, 2) == 16001
    with pytest.raises(UsageError, match="padded to 128256, does not divide by it"):
        padded_vocabulary(128256, 5)


@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize(
    ("model", "tp", "why"),
    [
        ("llama-3.1-8b", 3, "32 attention heads do not divide by it"),
        ("llama-3.1-8b", 64, "32 attention heads do not divide by it"),
        ("llama-3.2-3b", 12, "neither a divisor nor a multiple of the 8 KV heads"),
    ],
)
def test_heads_that_engines_refuse(engine: str, model: str, tp: int, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        deployed(model, engine, tp)


@pytest.mark.parametrize("engine", list(ENGINES))
def test_kv_heads_are_copied_where_there_are_fewer_than_ranks(engine: str) -> None:
    assert deployed("llama-3.1-70b", engine, 16).parallel.tp == 16
    assert deployed("qwen3-235b-a22b", engine, 64).parallel.tp == 64


def test_a_vocabulary_is_refused_only_where_it_has_to_divide() -> None:
    model = replace(find_model("llama-3.2-3b"), vocabulary=1000)  # padded to 1024; heads divide by 24
    for engine in ("yalis", "trtllm"):
        Deployment(model, ENGINES[engine], Parallel(tp=24), DTYPES["bfloat16"])
    for engine in ("vllm", "vllm-v0", "sglang"):
        with pytest.raises(UsageError, match="vocabulary of 1000, padded to 1024"):
            Deployment(model, ENGINES[engine], Parallel(tp=24), DTYPES["bfloat16"])


def test_padding() -> None:
    assert CAPTURED[:6] == (1, 2, 4, 8, 16, 24)
    assert CAPTURED[-1] == 512
    pads = {tokens: deployed("llama-3.1-8b", "vllm").padded(Pass("decode", tokens, 1)) for tokens in range(1, 1100)}
    assert [pads[tokens] for tokens in (1, 3, 5, 9, 512, 513, 1000)] == [1, 4, 8, 16, 512, 513, 1000]
    assert all(padded >= tokens for tokens, padded in pads.items())
    assert all(pads[size] == size for size in CAPTURED)
    assert deployed("llama-3.1-8b", "vllm").padded(Pass("prefill", 100, 1)) == 104


def test_engines_without_sizes_of_their_own_pad_decode_steps_alone() -> None:
    given = replace(deployed("llama-3.1-8b", "sglang"), sizes=(4, 8))
    found = [given.padded(Pass(kind, 5, 5)) for kind in ("prefill", "decode", "verify")]
    assert found == [5, 8, 8]


def test_sequence_parallelism_pads_to_a_multiple_of_the_ranks() -> None:
    four = deployed("llama-3.1-8b", "vllm", 4, scatters=True)
    assert [four.padded(Pass("decode", tokens, 1)) for tokens in (1, 5, 511, 513)] == [4, 8, 512, 516]
    six = deployed("llama-3.2-3b", "vllm", 2, scatters=True)
    assert six.padded(Pass("decode", 1, 1)) == 2


def test_limits_of_fused_norms() -> None:
    mib = 1 << 20
    for tp, limit in ((2, mib), (4, mib), (6, mib // 2), (8, mib // 2)):
        assert vllm_fuses(tp, 1, limit, True)
        assert not vllm_fuses(tp, 1, limit + 1, True)
        assert not vllm_fuses(tp, 1, limit, False)
    assert not vllm_fuses(16, 1, 1, True)
    assert (sglang_fuses(16, 2048, 1 << 30, False), sglang_fuses(16, 2049, 1, False)) == (True, False)


@pytest.mark.parametrize(
    ("engine", "options", "why"),
    [
        ("yalis", {"pp": 2}, "YALIS has no pipeline parallelism"),
        ("vllm", {"pp": 33}, "more than the 32 layers"),
        ("sglang", {"scatters": True}, "known of vLLM V1 alone, not of SGLang"),
        ("trtllm", {"fuses": True}, "when TensorRT-LLM fuses"),
        ("vllm", {"scatters": True, "fuses": True}, "give one of them"),
        ("vllm", {"ep": 2}, "needs experts, and llama-3.1-8b has none"),
        ("vllm", {"tp": 0}, "--tp is 0; it must be at least 1"),
        ("vllm", {"dp": 1 << 18}, "262144 GPUs are more than"),
        ("vllm", {"node": 10**400}, "GPUs are more than collbench lists; the most are 131072"),
        ("vllm", {"node": -1}, "--gpus-per-node is -1"),
    ],
)
def test_what_is_refused(engine: str, options: dict[str, int], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        deployed("llama-3.1-8b", engine, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("engine", "options", "why"),
    [
        ("vllm", {"tp": 4, "ep": 2}, "over all ranks of a stage or none: --ep 4, not 2"),
        ("sglang", {"tp": 4, "ep": 3}, "which --ep 3 must divide"),
        ("yalis", {"tp": 4, "ep": 4}, "what YALIS sends with --ep 4 is not known"),
        ("sglang", {"dp": 2}, "what SGLang sends for experts with --dp 2 is not known"),
        ("vllm-v0", {"dp": 2}, "what vLLM V0 sends for experts with --dp 2 is not known"),
        ("vllm", {"tp": 2, "dp": 2, "all_to_all": "pplx"}, "--all2all pplx needs --ep 4"),
    ],
)
def test_what_is_refused_of_experts(engine: str, options: dict[str, int], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        deployed("mixtral-8x7b", engine, **options)  # type: ignore[arg-type]
