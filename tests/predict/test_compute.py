"""Compute times of a pass."""

from __future__ import annotations

import pytest
from deployments import deployed

from collbench.errors import UsageError
from collbench.llm.passes import Batch, Pass
from collbench.predict.compute import Given, PrefillBy, Roofline, work
from collbench.predict.gpus import GPUS

ONE = Batch(1, 128, 129)
STEP = ONE.decode(1)


def test_a_decode_step_reads_all_weights_once() -> None:
    """Llama 3.1 70B on 8 H200: 69.5 of 70.6 billion parameters (the embedding is looked up) in 2 bytes, and the cache
    of 192.5 tokens, 80 layers, one KV head of 128 a rank, twice."""
    found = Roofline(GPUS["h200"], 1.0).of(deployed("llama-3.1-70b", "vllm", 8), ONE, STEP)
    weights = 80 * (8192 * (1280 + 1024 + 7168) + 3584 * 8192) + 8192 * 128256 // 8
    assert found.us == pytest.approx((weights + 192.5 * 80 * 256) * 2 / 4.8e12 * 1e6)


def test_a_long_prefill_is_bound_by_operations() -> None:
    """Llama 3.1 8B: 2 operations a parameter and token, 4 a pair and element of attention, half of all pairs."""
    batch = Batch(1, 8192, 1)
    found = Roofline(GPUS["h100"], 1.0).of(deployed("llama-3.1-8b", "vllm"), batch, Pass("prefill", 8192, 1))
    layer = 4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 14336
    pairs = 8192 * 8193 / 2
    seconds = 32 * (2 * 8192 * layer + 4 * 4096 * pairs) / 989e12 + 4096 * 128256 * 2 / 3.35e12
    assert found.us == pytest.approx(1e6 * seconds)


def test_stages_follow_one_another_so_that_they_save_no_time() -> None:
    roofline = Roofline(GPUS["a100"])
    split = roofline.of(deployed("llama-3.1-8b", "vllm", 2, 4), ONE, STEP)
    assert split.us == pytest.approx(roofline.of(deployed("llama-3.1-8b", "vllm", 2), ONE, STEP).us)


def test_the_range_of_a_roofline_ends_at_the_peaks() -> None:
    found = Roofline(GPUS["a100"], 0.5).of(deployed("llama-3.1-8b", "vllm"), ONE, STEP)
    assert (found.low, found.high, found.basis) == (found.us / 2, found.us * 2, "assumed")


def test_a_given_time_is_that_of_a_layer_in_decode() -> None:
    found = Given({8: 12.5}).of(deployed("llama-3.1-70b", "vllm", 8), ONE, STEP)
    assert (found.us, found.low, found.high, found.basis) == (1000, 1000, 1000, "assumed")
    with pytest.raises(UsageError, match="in a decode step alone"):
        Given({8: 12.5}).of(deployed("llama-3.1-70b", "vllm", 8), ONE, Pass("prefill", 128, 1))


def test_the_layers_of_a_draft_model_take_another_time() -> None:
    """That which is given is of the model: a roofline has the draft's, or nothing has."""
    draft, one = deployed("llama-3.2-3b", "vllm", 8), Pass("draft", 1, 1)
    with pytest.raises(UsageError, match="--gpu has that of a draft"):
        Given({8: 12.5}).of(draft, ONE, one)
    roofline = Roofline(GPUS["h100"])
    assert PrefillBy(Given({8: 12.5}), roofline).of(draft, ONE, one) == roofline.of(draft, ONE, one)


def test_what_attention_has_to_do() -> None:
    batch = Batch(4, 100, 50, guesses=1)
    verify = work(batch, batch.decode(4))
    assert (verify.cached, verify.pairs) == (4 * 125, 8 * 125)
    prefill = work(batch, Pass("prefill", 400, 4))
    assert (prefill.cached, prefill.pairs) == (400, 400 * 50.5)


@pytest.mark.parametrize("efficiency", [0.0, -1.0, 1.5, float("nan")])
def test_an_impossible_efficiency_is_refused(efficiency: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        Roofline(GPUS["h100"], efficiency)
