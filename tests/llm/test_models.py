"""Architectures from configs: the built-in ones, missing and impossible fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collbench.errors import UsageError
from collbench.llm.models import built_in, find_model, model_of

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8, "vocab_size": 1000,
    "torch_dtype": "float16",
}  # fmt: skip


def refused(config: dict[str, Any]) -> str:
    """Why a config is refused."""
    with pytest.raises(UsageError) as error:
        model_of(config, "m", "m.json")
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "heads", "kv_heads", "vocabulary"),
    [
        ("llama-3.2-3b", 28, 3072, 24, 8, 128256),
        ("llama-3.1-8b", 32, 4096, 32, 8, 128256),
        ("llama-3.1-70b", 80, 8192, 64, 8, 128256),
        ("llama-3.1-405b", 126, 16384, 128, 8, 128256),
        ("llama-2-13b", 40, 5120, 40, 40, 32000),
        ("qwen3-8b", 36, 4096, 32, 8, 151936),
        ("qwen3-32b", 64, 5120, 64, 8, 151936),
        ("qwen3-235b-a22b", 94, 4096, 64, 4, 151936),
        ("mixtral-8x7b", 32, 4096, 32, 8, 32000),
        ("deepseek-v3", 61, 7168, 128, None, 129280),
    ],
)
def test_built_in_models(
    name: str, layers: int, hidden: int, heads: int, kv_heads: int | None, vocabulary: int
) -> None:
    model = find_model(name.upper())
    assert (model.name, model.layers, model.hidden, model.heads) == (name, layers, hidden, heads)
    assert (model.kv_heads, model.vocabulary) == (kv_heads, vocabulary)


def test_every_built_in_model_has_a_type() -> None:
    assert len(built_in()) == 10
    assert all(find_model(name).dtype for name in built_in())


@pytest.mark.parametrize(
    ("name", "sparse", "experts", "top_k", "shared"),
    [
        ("mixtral-8x7b", 32, 8, 2, 0),
        ("qwen3-235b-a22b", 94, 128, 8, 0),
        ("deepseek-v3", 58, 256, 8, 1),
        ("llama-3.1-8b", 0, 0, 0, 0),
    ],
)
def test_mixtures_of_experts(name: str, sparse: int, experts: int, top_k: int, shared: int) -> None:
    model = find_model(name)
    assert (len(model.moe_layers), model.experts, model.top_k, model.shared_experts) == (sparse, experts, top_k, shared)


def test_the_first_layers_of_deepseek_are_dense_and_steps_leave_layers_out() -> None:
    assert min(find_model("deepseek-v3").moe_layers) == 3
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "decoder_sparse_step": 2, "mlp_only_layers": [3]}
    assert model_of({**LLAMA, **experts, "model_type": "qwen3_moe"}, "m", "m").moe_layers == {1}


def test_heads_without_groups_are_kv_heads_of_their_own() -> None:
    assert model_of(LLAMA, "m", "m").kv_heads == 8


@pytest.mark.parametrize("field", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_a_missing_field_is_named(field: str) -> None:
    config = {name: value for name, value in LLAMA.items() if name != field}
    assert refused(config) == f"m.json has no field '{field}', without which the collectives are unknown."


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True, [8], 10**400])
def test_an_impossible_field_is_named(value: object) -> None:
    assert refused({**LLAMA, "hidden_size": value}).startswith(f"m.json: hidden_size is {value!r}; it must be a whole")


def test_fields_that_contradict_each_other_or_cannot_be_listed_are_refused() -> None:
    assert refused({**LLAMA, "num_key_value_heads": 16}) == (
        "m.json: 8 attention heads do not divide by num_key_value_heads, 16."
    )
    experts = {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 9}
    assert refused({**LLAMA, **experts}) == "m.json: a token visits 9 experts, but there are 8."
    assert "num_hidden_layers is 1000000000" in refused({**LLAMA, "num_hidden_layers": 10**9})


def test_hidden_states_are_no_integers() -> None:
    assert model_of({**LLAMA, "torch_dtype": "int32"}, "m", "m").dtype is None


def test_other_architectures_are_refused() -> None:
    assert "model_type 'gpt_neox' are not known" in refused({**LLAMA, "model_type": "gpt_neox"})
    assert "no field 'model_type'" in refused({**LLAMA, "model_type": None})
    assert "list of numbers of layers" in refused(
        {**LLAMA, "model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "mlp_only_layers": ["x"]}
    )


def test_a_config_is_found_by_its_file_and_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    assert find_model(str(tmp_path)) == find_model(str(tmp_path / "config.json"))
    assert find_model(str(tmp_path)).name == tmp_path.name


@pytest.mark.parametrize(
    ("text", "why"), [("[]", "holds no object"), ("{", "is not JSON"), ("\x00", "is not JSON"), ("1" * 5000, "is not")]
)
def test_what_is_no_config_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=why):
        find_model(str(path))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("llama-3.1-9b", "did you mean 'llama-3.1-8b'"),
        ("none/config.json", "cannot be read: No such file"),
        (".", "config.json cannot be read"),
        ("", "config.json cannot be read"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=why):
        find_model(name)
