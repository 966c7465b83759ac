"""The architecture of a model, as far as its collectives depend on it, from a ``config.json`` of Hugging Face."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from collbench.errors import UsageError, pick
from collbench.plan.dtypes import ALIASES, DTYPES, Dtype

CONFIGS = Path(__file__).with_name("configs")
MOST, MOST_LAYERS = 1 << 30, 1 << 14  # of any field; of layers, which are listed one by one
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A decoder of ``layers`` blocks, each of attention and an MLP or a mixture of experts; ``kind`` is its model_type.

    ``kv_heads`` is None where heads share one latent (MLA). ``moe_layers`` are the numbers of the layers with
    ``experts`` routed experts, of which a token visits ``top_k``, and ``shared_experts`` that all tokens visit.
    ``dtype`` is the config's element type, None if it names none. ``config`` is the whole of it, for what only matrix
    products depend on.
    """

    name: str
    kind: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int | None
    vocabulary: int
    dtype: Dtype | None = None
    moe_layers: frozenset[int] = frozenset()
    experts: int = 0
    top_k: int = 0
    shared_experts: int = 0
    config: Config = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Fields:
    """The fields of a config; ``where`` names it in messages, and ``lacking`` what is unknown without a field."""

    where: str
    values: Config
    lacking: str = "the collectives are"

    def whole(self, name: str, least: int = 1, default: int | None = None, most: int = MOST) -> int:
        """A whole number; UsageError where it is absent without a default, of another type, too small or too large."""
        value = self.values.get(name)
        if value is None:
            value = default
        if value is None:
            raise UsageError(f"{self.where} has no field {name!r}, without which {self.lacking} unknown.")
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise UsageError(f"{self.where}: {name} is {value!r}; it must be a whole number from {least} to {most}.")
        return value

    def numbers(self, name: str) -> frozenset[int]:
        """A list of whole numbers, empty where absent or null."""
        value = self.values.get(name) or []
        if not isinstance(value, list) or not all(type(each) is int for each in value):
            raise UsageError(f"{self.where}: {name} is {value!r}; it must be a list of numbers of layers.")
        return frozenset(value)


@dataclass(frozen=True)
class _Experts:
    """The mixture of experts of a config."""

    layers: frozenset[int]
    experts: int
    top_k: int
    shared: int = 0


def _mixtral(fields: Fields, layers: int) -> _Experts:
    return _Experts(frozenset(range(layers)), fields.whole("num_local_experts"), fields.whole("num_experts_per_tok"))


def _qwen3_moe(fields: Fields, layers: int) -> _Experts:
    step, dense = fields.whole("decoder_sparse_step", default=1), fields.numbers("mlp_only_layers")
    sparse = frozenset(layer for layer in range(layers) if layer not in dense and (layer + 1) % step == 0)
    return _Experts(sparse, fields.whole("num_experts"), fields.whole("num_experts_per_tok"))


def _deepseek(fields: Fields, layers: int) -> _Experts:
    first, step = fields.whole("first_k_dense_replace", 0, 0), fields.whole("moe_layer_freq", default=1)
    sparse = frozenset(layer for layer in range(first, layers) if layer % step == 0)
    shared = fields.whole("n_shared_experts", 0, 0)
    return _Experts(sparse, fields.whole("n_routed_experts"), fields.whole("num_experts_per_tok"), shared)


def _dense(fields: Fields, layers: int) -> _Experts:
    return _Experts(frozenset(), 0, 0)


_LATENT = frozenset({"deepseek_v2", "deepseek_v3"})
MOE_KINDS = frozenset({"mixtral", "qwen3_moe", *_LATENT})
_KINDS: Mapping[str, Callable[[Fields, int], _Experts]] = MappingProxyType({
    "llama": _dense, "mistral": _dense, "qwen2": _dense, "qwen3": _dense, "mixtral": _mixtral,
    "qwen3_moe": _qwen3_moe, "deepseek_v2": _deepseek, "deepseek_v3": _deepseek,
})  # fmt: skip


def _dtype_of(config: Config) -> Dtype | None:
    name = str(config.get("torch_dtype") or config.get("dtype") or "")
    found = DTYPES.get(ALIASES.get(name, name))
    return found if found and found.is_float else None


def _kind_of(config: Config, where: str) -> str:
    kind = config.get("model_type")
    if kind is None:
        raise UsageError(f"{where} has no field 'model_type', which says where the model has collectives.")
    if kind not in _KINDS:
        raise UsageError(f"{where}: the collectives of model_type {kind!r} are not known; known: {', '.join(_KINDS)}.")
    return str(kind)


def model_of(config: Config, name: str, where: str) -> Model:
    """The model of a config. Raises UsageError, which names ``where``, for a missing or impossible field and for an
    architecture whose collectives are not known."""
    kind, fields = _kind_of(config, where), Fields(where, config)
    layers, heads = fields.whole("num_hidden_layers", most=MOST_LAYERS), fields.whole("num_attention_heads")
    experts = _KINDS[kind](fields, layers)
    kv_heads = None if kind in _LATENT else fields.whole("num_key_value_heads", default=heads)
    if kv_heads is not None and heads % kv_heads:
        raise UsageError(f"{where}: {heads} attention heads do not divide by num_key_value_heads, {kv_heads}.")
    if experts.top_k > experts.experts:
        raise UsageError(f"{where}: a token visits {experts.top_k} experts, but there are {experts.experts}.")
    return Model(
        name=name,
        kind=kind,
        layers=layers,
        hidden=fields.whole("hidden_size"),
        heads=heads,
        kv_heads=kv_heads,
        vocabulary=fields.whole("vocab_size"),
        dtype=_dtype_of(config),
        moe_layers=experts.layers,
        experts=experts.experts,
        top_k=experts.top_k,
        shared_experts=experts.shared,
        config=config,
    )


def built_in() -> list[str]:
    """Names of the models whose configs come with collbench."""
    return sorted(path.stem for path in CONFIGS.glob("*.json"))


def find_model(text: str) -> Model:
    """A built-in model by its name, or the model of a ``config.json``, or of the folder that holds one.

    Raises UsageError for an unknown name, and for a file that cannot be read or is not such a config.
    """
    if text.lower() in built_in():
        return _read(CONFIGS / f"{text.lower()}.json", text.lower())
    path = Path(text)
    if os.path.isdir(path):  # False, not an error, for a name that is too long
        path /= "config.json"
    if not os.path.exists(path) and path.suffix != ".json":
        pick("model", text, built_in())
    return _read(path, path.resolve().parent.name if path.stem == "config" else path.stem)


def whole_path(text: str) -> str:
    """What ``find_model`` finds from every folder: the name of a built-in model, or an absolute path."""
    return text if text.lower() in built_in() else os.path.abspath(text)


def _read(path: Path, name: str) -> Model:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}.") from None
    if not isinstance(config, dict):
        raise UsageError(f"{path} is not the config of a model: it holds no object.")
    return model_of(config, name, str(path))
