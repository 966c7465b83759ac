"""The matrix products of one rank, its attention and its memory, from a model's config (D: as vLLM splits weights).

Queries, keys and values are one product, as are gate and up projection; both are split by columns over tensor
parallelism, the output and down projections by rows. Latent attention (MLA) keeps its two compressions whole on every
rank, and attends to the latent itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from collbench.llm.models import Fields, Model
from collbench.llm.steps import Deployment


@dataclass(frozen=True)
class Product:
    """``count`` products, each of ``rows`` times ``inner`` elements with a weight of ``inner`` times ``columns``.

    Experts are visited evenly, so that their ``rows`` and ``count`` are means and need not be whole.
    """

    what: str
    rows: float
    inner: int
    columns: int
    count: float = 1.0

    @property
    def operations(self) -> float:
        """Floating-point operations: two for each multiplication and addition."""
        return 2 * self.count * self.rows * self.inner * self.columns

    @property
    def weights(self) -> float:
        """Elements of weights that are read."""
        return self.count * self.inner * self.columns


@dataclass(frozen=True)
class Attention:
    """One layer's attention on one rank: ``cached`` elements for each token in the cache, and floating-point
    ``operations`` for each pair of a token and one that it attends to."""

    cached: int
    operations: int


def _fields(model: Model) -> Fields:
    return Fields(f"the config of {model.name}", model.config, "the matrix products are")


def _head(model: Model, fields: Fields) -> int:
    """Elements of a head; Qwen3 has 128 unless it says otherwise, others split the hidden states."""
    return fields.whole("head_dim", default=128 if model.kind.startswith("qwen3") else model.hidden // model.heads)


def attention(deployment: Deployment) -> Attention:
    """The attention of a layer. Raises UsageError for a config without a field that it needs."""
    model, tp = deployment.model, deployment.parallel.tp
    fields, heads = _fields(model), model.heads // tp
    if model.kv_heads is None:
        latent, rope = fields.whole("kv_lora_rank"), fields.whole("qk_rope_head_dim")
        return Attention(latent + rope, 2 * heads * (2 * latent + rope))
    head = _head(model, fields)
    return Attention(2 * max(1, model.kv_heads // tp) * head, 4 * heads * head)


def layer_products(deployment: Deployment, layer: int, tokens: float) -> list[Product]:
    """The products of a layer in a pass of so many tokens; ``math.inf`` of them read every expert. Raises UsageError
    for a config without a field that they need."""
    model = deployment.model
    sparse = layer in model.moe_layers
    blocks = _moe(deployment, tokens) if sparse else _mlp("MLP", deployment, tokens, _inner(model, "intermediate_size"))
    return [*_projections(deployment, tokens), *blocks]


def head_product(deployment: Deployment, rows: float) -> Product:
    """The product that yields so many rows of logits, on a rank of the last stage."""
    model, tp = deployment.model, deployment.parallel.tp
    whole = tp == 1 or not deployment.engine.logits
    columns = model.vocabulary if whole else deployment.engine.columns(model.vocabulary, tp)
    return Product("head", rows, model.hidden, columns)


def memory(deployment: Deployment, stage: int, cached: int) -> float:
    """Elements that a rank of a stage keeps at least: weights, and the cache of so many tokens. Activations and what an
    engine reserves are not counted."""
    layers = deployment.stages[stage]
    weights = sum(each.weights for layer in layers for each in layer_products(deployment, layer, math.inf))
    ends = (stage == 0) + (stage == deployment.parallel.pp - 1)  # the embedding is split as the head is
    return weights + ends * head_product(deployment, 1).weights + len(layers) * cached * attention(deployment).cached


def _inner(model: Model, name: str) -> int:
    return _fields(model).whole(name)


def _projections(deployment: Deployment, tokens: float) -> Iterator[Product]:
    model, tp = deployment.model, deployment.parallel.tp
    fields, heads = _fields(model), model.heads // tp
    if model.kv_heads is None:
        yield from _latent(model, fields, heads, tokens)
        return
    head = _head(model, fields)
    columns = (heads + 2 * max(1, model.kv_heads // tp)) * head
    yield Product("queries, keys and values", tokens, model.hidden, columns)
    yield Product("attention output", tokens, heads * head, model.hidden)


def _latent(model: Model, fields: Fields, heads: int, tokens: float) -> Iterator[Product]:
    """The products of latent attention, those of queries through a latent of their own where the config has one."""
    latent, rope = fields.whole("kv_lora_rank"), fields.whole("qk_rope_head_dim")
    plain, value = fields.whole("qk_nope_head_dim"), fields.whole("v_head_dim")
    query = fields.whole("q_lora_rank", 0, 0)
    if query:
        yield Product("latent of queries", tokens, model.hidden, query)
    yield Product("queries", tokens, query or model.hidden, heads * (plain + rope))
    yield Product("latent of keys and values", tokens, model.hidden, latent + rope)
    yield Product("keys and values", tokens, latent, heads * (plain + value))
    yield Product("attention output", tokens, heads * value, model.hidden)


def _mlp(what: str, deployment: Deployment, tokens: float, inner: int) -> Iterator[Product]:
    hidden, part = deployment.model.hidden, -(-inner // deployment.parallel.tp)
    yield Product(f"{what}, gate and up", tokens, hidden, 2 * part)
    yield Product(f"{what}, down", tokens, part, hidden)


def _moe(deployment: Deployment, tokens: float) -> Iterator[Product]:
    """Router, shared and routed experts; tokens of all replicas meet at the experts, where they exchange them."""
    model, parallel = deployment.model, deployment.parallel
    replicas = parallel.dp if deployment.exchanges else 1
    inner = _inner(model, "intermediate_size" if model.kind == "mixtral" else "moe_intermediate_size")
    yield Product("router", tokens, model.hidden, model.experts)
    if model.shared_experts:
        yield from _mlp("shared experts", deployment, tokens, model.shared_experts * inner)
    here, arriving = Fraction(model.experts, parallel.ep), replicas * tokens
    visited = float(here) * _share_visited(model, arriving)
    rows = arriving * model.top_k / parallel.ep / visited
    part = -(-inner * parallel.ep // (parallel.tp * replicas))
    yield Product("experts, gate and up", rows, model.hidden, 2 * part, visited)
    yield Product("experts, down", rows, part, model.hidden, visited)


def _share_visited(model: Model, tokens: float) -> float:
    """The share of the experts that at least one of so many tokens visits, where each token picks at random."""
    return float(1 - (1 - model.top_k / model.experts) ** tokens)
