"""Matrix products, attention and memory of one rank."""

from __future__ import annotations

import math

import pytest
from deployments import deployed

from collbench.errors import UsageError
from collbench.llm.engines import ENGINES
from collbench.llm.models import model_of
from collbench.llm.parallel import Parallel
from collbench.llm.products import Product, attention, head_product, layer_products, memory
from collbench.llm.steps import Deployment
from collbench.plan.dtypes import DTYPES


def shapes(products: list[Product]) -> list[tuple[float, int, int]]:
    return [(each.rows, each.inner, each.columns) for each in products]


def test_products_of_a_dense_layer_are_split_by_columns_and_then_by_rows() -> None:
    found = layer_products(deployed("llama-3.1-70b", "vllm", tp=8), 0, 5)
    # 64 heads and 8 KV heads of 128; an inner dimension of 28672; all over 8 ranks
    assert shapes(found) == [(5, 8192, 1280), (5, 1024, 8192), (5, 8192, 7168), (5, 3584, 8192)]
    assert found[0].operations == 2 * 5 * 8192 * 1280


def test_more_ranks_than_kv_heads_copy_them() -> None:
    found = layer_products(deployed("llama-3.1-70b", "vllm", tp=16), 0, 1)
    assert found[0].columns == (4 + 2) * 128
    assert attention(deployed("llama-3.1-70b", "vllm", tp=16)).cached == 2 * 128


def test_heads_of_qwen3_do_not_follow_from_the_hidden_size() -> None:
    found = layer_products(deployed("qwen3-32b", "vllm"), 0, 1)
    assert shapes(found)[:2] == [(1, 5120, (64 + 16) * 128), (1, 8192, 5120)]


@pytest.mark.parametrize(
    ("model", "billions"),
    [("llama-3.2-3b", 3.6), ("llama-3.1-8b", 8.03), ("llama-2-13b", 13.0), ("llama-3.1-70b", 70.6),
     ("llama-3.1-405b", 405.8), ("qwen3-8b", 8.2), ("qwen3-32b", 32.8), ("qwen3-235b-a22b", 235),
     ("mixtral-8x7b", 46.7), ("deepseek-v3", 671)],
)  # fmt: skip
def test_a_model_has_the_parameters_that_its_name_says(model: str, billions: float) -> None:
    """Those of 3B with an embedding apart from its head (3.2 and 0.39)."""
    assert memory(deployed(model, "vllm"), 0, 0) / 1e9 == pytest.approx(billions, rel=0.003)


def test_ranks_and_stages_share_all_weights_and_the_cache() -> None:
    split = deployed("llama-3.1-8b", "vllm", tp=2, pp=2)
    whole = memory(deployed("llama-3.1-8b", "vllm"), 0, 100)
    assert 2 * sum(memory(split, stage, 100) for stage in range(2)) == whole


def test_only_visited_experts_are_read() -> None:
    one = deployed("mixtral-8x7b", "vllm", tp=2)
    experts = [each for each in layer_products(one, 0, 1) if each.what == "experts, down"]
    assert [(each.count, each.rows, each.inner) for each in experts] == [(2, 1, 7168)]
    every = layer_products(one, 0, math.inf)[-1]
    assert every.count == 8
    spread = layer_products(deployed("mixtral-8x7b", "vllm", tp=2, ep=2), 0, math.inf)[-1]
    assert (spread.count, spread.inner) == (4, 14336)


def test_experts_of_replicas_see_the_tokens_of_all() -> None:
    apart = deployed("mixtral-8x7b", "vllm", dp=4, ep=4)
    down = layer_products(apart, 0, 10)[-1]
    assert down.count * down.rows == pytest.approx(4 * 10 * 2 / 4)


def test_latent_attention_caches_one_latent_on_every_rank() -> None:
    found = attention(deployed("deepseek-v3", "vllm", tp=8))
    assert (found.cached, found.operations) == (576, 2 * 16 * (576 + 512))


def test_a_replicated_head_is_whole() -> None:
    assert head_product(deployed("llama-3.1-8b", "yalis", tp=4), 3).columns == 128256
    assert head_product(deployed("llama-3.1-8b", "vllm", tp=4), 3).columns == 32064


def test_a_config_without_an_inner_dimension_is_refused() -> None:
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8,
              "vocab_size": 64}  # fmt: skip
    found = Deployment(model_of(config, "mine", "mine"), ENGINES["vllm"], Parallel(), DTYPES["float32"])
    with pytest.raises(UsageError, match="no field 'intermediate_size', without which the matrix products are unknown"):
        layer_products(found, 0, 1)
