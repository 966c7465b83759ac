"""The collectives of a pass: computed by hand, and counted over a simulated pass that walks through every layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from deployments import brief, decode, deployed, of

from collbench.llm.passes import Pass
from collbench.llm.steps import Deployment, Step, steps_of
from collbench.plan.collectives import COLLECTIVES

Call = tuple[int, str, int]  # stage, collective, bytes that one rank puts in
SPREADS = [(1, 1), (2, 1), (8, 1), (1, 4), (2, 3), (8, 4), (16, 5)]
ENGINES = ["vllm", "vllm-v0", "sglang", "trtllm"]


def walked(deployment: Deployment, one: Pass) -> Counter[Call]:
    """The calls of one rank of every stage, as a forward pass makes them, layer by layer."""
    name, tp, pp = deployment.engine.name, deployment.parallel.tp, deployment.parallel.pp
    rows, hidden, item = deployment.padded(one), deployment.model.hidden, deployment.dtype.itemsize
    whole, found = rows * hidden * item, Counter[Call]()
    sliced = name in {"vllm", "vllm-v0", "sglang"} and tp > 1 and rows * hidden % tp == 0

    def reduce(stage: int) -> None:
        if tp > 1 and deployment.scatters:
            found[stage, "reduce_scatter", whole] += 1
            found[stage, "all_gather", whole // tp] += 1
        elif tp > 1:
            found[stage, "all_reduce", whole] += 1

    for stage, layers in enumerate(deployment.stages):
        if stage == 0 and name != "yalis":
            reduce(stage)
        elif stage and sliced:
            found[stage, "all_gather", whole // tp] += 1 if deployment.scatters else 2
        for _ in layers:
            reduce(stage)  # attention
            reduce(stage)  # MLP or experts
        if stage < pp - 1:
            found[stage, "send", whole // tp if sliced else whole] += 2
        elif name != "yalis" and tp > 1:
            columns = -(-deployment.model.vocabulary // 64) * 64 // tp
            found[stage, "gather" if name == "vllm-v0" else "all_gather", one.rows * columns * item] += 1
        if name == "sglang" and pp > 1:
            even = tp > 1 and one.rows % tp == 0
            found[stage, "send", one.rows * 8 // (tp if even else 1)] += 1
            found[stage, "all_gather", one.rows * 8 // tp] += even
    return +found


def listed(steps: list[Step]) -> Counter[Call]:
    """The same calls as they are listed."""
    found: Counter[Call] = Counter()
    for step in steps:
        found[step.stage, step.operation, step.bytes] += step.count
    return found


def cases() -> Iterator[tuple[Deployment, Pass]]:
    """Deployments of dense models and of mixtures of experts without replicas, with passes of several sizes."""
    for model in ("llama-3.1-8b", "llama-3.1-405b", "mixtral-8x7b", "deepseek-v3"):
        for tp, pp in SPREADS:
            for one in (Pass("prefill", 1001, 3), Pass("decode", 5, 5), Pass("verify", 16, 16), Pass("decode", 1, 1)):
                yield from ((deployed(model, engine, tp, pp), one) for engine in ENGINES)
                yield deployed(model, "vllm", tp, pp, scatters=True), one
                if pp == 1:
                    yield deployed(model, "yalis", tp), one


def test_the_listing_is_what_a_walk_through_the_layers_counts() -> None:
    for deployment, one in cases():
        assert listed(steps_of(deployment, one)) == walked(deployment, one), (deployment, one)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("llama-3.2-3b", 57),
        ("llama-3.1-8b", 65),
        ("llama-2-13b", 81),
        ("llama-3.1-70b", 161),
        ("llama-3.1-405b", 253),
        ("deepseek-v3", 123),
        ("mixtral-8x7b", 65),
    ],
)
def test_all_reduces_of_a_pass(model: str, count: int) -> None:
    for engine in ENGINES:
        assert of(decode(deployed(model, engine, 4)), "all_reduce") == count
    assert of(decode(deployed(model, "yalis", 4)), "all_reduce") == count - 1


def test_a_decode_step_by_hand() -> None:
    assert brief(decode(deployed("llama-3.1-70b", "vllm", 8))) == [
        (0, "all_reduce", 1, (8, 8192)),
        (0, "all_reduce", 80, (8, 8192)),
        (0, "all_reduce", 80, (8, 8192)),
        (0, "all_gather", 1, (5, 16032)),
    ]
    first, *_, logits = decode(deployed("llama-3.1-70b", "vllm", 8))
    assert (first.bytes, first.message_bytes, first.ranks) == (131072, 131072, 8)
    assert (logits.bytes, logits.message_bytes) == (160320, 1282560)


def test_a_message_is_the_larger_buffer() -> None:
    for engine in ("vllm-v0", "vllm"):
        assert decode(deployed("llama-3.1-70b", engine, 8))[-1].message_bytes == 5 * 128256 * 2


def test_ranks_are_numbered_through_places_stages_and_replicas() -> None:
    found = decode(deployed("llama-3.1-8b", "vllm", 2, 2, 2))
    assert {(step.stage, step.kind, step.groups) for step in found} == {
        (0, "tp", ((0, 1), (4, 5))),
        (1, "tp", ((2, 3), (6, 7))),
        (0, "pp", ((0, 2), (1, 3), (4, 6), (5, 7))),
    }


def test_the_sizes_of_the_papers() -> None:
    # 8B, 128 in, bf16: 65 all-reduces of 1 MiB, then of 8 KiB; 405B with a batch of 8: 256 KiB, of 32: 1 MiB.
    eight = deployed("llama-3.1-8b", "vllm-v0", 4)
    assert {step.bytes for step in steps_of(eight, Pass("prefill", 128, 1)) if step.operation == "all_reduce"} == {
        1 << 20
    }
    assert decode(eight, Pass("decode", 1, 1))[0].bytes == 8192
    big = deployed("llama-3.1-405b", "yalis", 16)
    assert [decode(big, Pass("decode", batch, batch))[0].bytes >> 10 for batch in (8, 32)] == [256, 1024]


def test_stages_by_hand() -> None:
    found = brief(decode(deployed("llama-3.1-405b", "vllm", 8, 4)))
    per_stage = [[step for step in found if step[0] == stage] for stage in range(4)]
    assert [sum(step[2] for step in stage if step[1] == "all_reduce") for stage in per_stage] == [63, 64, 64, 62]
    assert [step[1:] for step in per_stage[3]] == [
        ("all_gather", 1, (16384,)),
        ("all_gather", 1, (16384,)),
        ("all_reduce", 31, (8, 16384)),
        ("all_reduce", 31, (8, 16384)),
        ("all_gather", 1, (5, 16032)),
    ]
    assert [step[1:] for step in per_stage[0] if step[1] == "send"] == [("send", 1, (16384,))] * 2


def test_tensorrt_llm_sends_whole_tensors_and_sglang_token_ids_round_the_ring() -> None:
    whole = decode(deployed("llama-3.1-8b", "trtllm", 8, 2))
    assert [step.shape for step in whole if step.operation == "send"] == [(5, 4096)] * 2
    ring = [step for step in decode(deployed("llama-3.1-8b", "sglang", 2, 3)) if "token ids" in step.what]
    assert [(step.stage, step.operation, step.bytes, step.derived) for step in ring] == [
        (stage, "send", 40, True) for stage in range(3)
    ]
    assert ring[-1].groups == ((4, 0), (5, 1))


def test_a_tensor_that_does_not_divide_is_sent_whole() -> None:
    odd = deployed("llama-3.2-3b", "vllm", 24, 2, pads=False)
    assert {step.shape for step in decode(odd) if step.operation == "send"} == {(640,)}  # 5 * 3072 / 24
    assert not [step for step in decode(deployed("llama-3.1-8b", "vllm", 1, 2)) if step.operation == "all_gather"]
    prime = replace(odd, model=replace(odd.model, hidden=3071))
    assert {step.shape for step in decode(prime) if step.operation == "send"} == {(5, 3071)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", ["llama-3.1-405b", "deepseek-v3"])
def test_the_sum_over_stages_does_not_depend_on_their_number(engine: str, model: str) -> None:
    counts = {of(decode(deployed(model, engine, 4, pp)), "all_reduce") for pp in (1, 2, 4, 7, 16)}
    assert len(counts) == 1


@pytest.mark.parametrize("engine", [*ENGINES, "yalis"])
def test_one_rank_sends_nothing(engine: str) -> None:
    assert decode(deployed("llama-3.1-8b", engine)) == []


def test_bytes_grow_with_tokens_and_with_the_type() -> None:
    for engine in ENGINES:
        one, wide = (deployed("llama-3.1-8b", engine, 4, 2, dtype=dtype) for dtype in ("bfloat16", "float32"))
        sizes = [sum(s.bytes * s.count for s in decode(one, Pass("decode", t, t))) for t in range(1, 40)]
        assert sizes == sorted(sizes)
        twice = [2 * step.bytes for step in decode(one) if "token ids" not in step.what]
        assert twice == [step.bytes for step in decode(wide) if "token ids" not in step.what]


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_sequence_parallelism_has_both_halves_of_every_all_reduce(tp: int) -> None:
    found = decode(deployed("llama-3.1-8b", "vllm", tp, scatters=True))
    assert (of(found, "reduce_scatter"), of(found, "all_reduce")) == (65, 0)
    assert of(found, "all_gather") == 65 + 1
    assert {step.shape for step in found if step.operation == "all_gather"} == {(8 // tp, 4096), (5, 128256 // tp)}


def test_a_residual_stays_sharded_under_sequence_parallelism() -> None:
    found = decode(deployed("llama-3.1-8b", "vllm", 4, 2, scatters=True))
    assert [step.what for step in found if "stage before" in step.what] == ["hidden states of the stage before"]


def test_norms_are_fused_where_they_follow_on_the_same_stage() -> None:
    found = decode(deployed("llama-3.1-8b", "vllm", 4, 2, fuses=True))
    assert (of(found, "all_reduce_rms_norm"), of(found, "all_reduce")) == (63, 2)
    assert of(decode(deployed("llama-3.1-8b", "vllm", 4, 2, fuses=True, node=2)), "all_reduce_rms_norm") == 0
    long = steps_of(deployed("llama-3.1-8b", "vllm", 4, fuses=True), Pass("prefill", 129, 1))
    assert of(long, "all_reduce_rms_norm") == 0  # padded to 136 rows of 8 KiB, above 1 MiB
    sglang = deployed("llama-3.1-8b", "sglang", 16, fuses=True)
    assert of(steps_of(sglang, Pass("prefill", 2048, 1)), "all_reduce_rms_norm") == 64
    assert of(steps_of(sglang, Pass("prefill", 2049, 1)), "all_reduce_rms_norm") == 0


def test_fusing_changes_no_count_over_stages() -> None:
    for pp in (1, 2, 5):
        found = decode(deployed("deepseek-v3", "vllm", 8, pp, fuses=True))
        assert of(found, "all_reduce_rms_norm") + of(found, "all_reduce") == 123
        assert of(found, "all_reduce_rms_norm") == 122 - (pp - 1)


@pytest.mark.parametrize("engine", ["vllm", "vllm-v0", "sglang", "trtllm"])
def test_experts_without_replicas_are_one_sum(engine: str) -> None:
    split, spread = (decode(deployed("deepseek-v3", engine, 8, ep=ep)) for ep in (1, 8))
    assert brief(split) == brief(spread)
    assert [step.count for step in split if step.operation == "all_reduce"] == [1, 61, 3, 58]


def test_a_naive_exchange_of_replicas() -> None:
    found = decode(deployed("mixtral-8x7b", "vllm", 2, dp=4, ep=8))
    assert brief(found) == [
        (0, "all_reduce", 1, (8, 4096)),
        (0, "all_reduce", 32, (8, 4096)),
        (0, "broadcast", 32 * 4, (8, 4096)),
        (0, "broadcast", 32 * 4, (8, 8)),
        (0, "all_reduce", 32, (32, 4096)),
        (0, "all_reduce", 32, (8, 4096)),
        (0, "all_gather", 1, (5, 16000)),
    ]
    assert next(step.groups for step in found if step.operation == "broadcast") == ((0, 2, 4, 6), (1, 3, 5, 7))
    assert found[0].groups == ((0, 1), (2, 3), (4, 5), (6, 7))


@pytest.mark.parametrize("way", ["deepep", "pplx"])
def test_a_direct_exchange_of_replicas(way: str) -> None:
    found = decode(deployed("deepseek-v3", "vllm", 2, dp=4, ep=8, all_to_all=way))
    assert brief(found)[3:6] == [
        (0, "all_to_all", 58, (8, 8, 7168)),
        (0, "all_reduce", 58, (8, 7168)),  # the shared expert
        (0, "all_to_all", 58, (8, 8, 7168)),
    ]
    assert found[3].groups == (tuple(range(8)),)
    assert of(decode(deployed("mixtral-8x7b", "vllm", 2, dp=4, ep=8, all_to_all=way)), "all_reduce") == 33
    alone = decode(deployed("deepseek-v3", "vllm", 1, dp=8, ep=8, all_to_all=way))
    assert brief(alone) == [(0, "all_to_all", 58, (8, 8, 7168))] * 2


def test_replicas_of_a_dense_model_are_independent() -> None:
    one, two = (decode(deployed("llama-3.1-8b", "sglang", 4, dp=dp)) for dp in (1, 2))
    assert brief(one) == brief(two)
    assert {step.groups for step in two} == {((0, 1, 2, 3), (4, 5, 6, 7))}


def test_every_operation_is_a_collective_that_a_sweep_times() -> None:
    spread = [deployed("llama-3.1-8b", engine, 2, 2) for engine in ENGINES]
    spread += [deployed("llama-3.1-8b", "vllm", 2, scatters=True), deployed("llama-3.1-8b", "vllm", 2, fuses=True)]
    spread += [deployed("mixtral-8x7b", "vllm", 1, dp=4, ep=4, all_to_all=how) for how in ("naive", "deepep")]
    found = {step.operation for deployment in spread for step in decode(deployment)}
    assert found <= COLLECTIVES.keys()
    assert {"send", "all_to_all", "broadcast", "reduce_scatter"} <= found
