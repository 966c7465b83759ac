"""The command llm steps: forms, its CSV file, and one sentence for bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import leaves
from running import Here

from collbench.llm.models import built_in

STEPS = ("llm", "steps")


def test_every_form_and_the_file(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    asked = (*STEPS, "llama-3.1-70b", "--tp", "8", "--batch", "5", "-o", str(path))
    plain, markdown, latex = (here(*asked, *form) for form in ([], ["--markdown"], ["--latex"]))
    assert (plain.code, plain.err) == (0, "")
    assert "padded to 8" in plain.out
    assert "| 1 | attention output | all_reduce | 80 | 8 × 8192 | 128 KiB | 8 | TP |" in markdown.out
    assert r"\toprule" in latex.out
    found = json.loads(here(*asked, "--json").out)
    assert (found["model"], found["engine"], found["layers"], found["dtype"]) == (
        "llama-3.1-70b",
        "vllm",
        [80],
        "bfloat16",
    )
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + 8


def test_help_names_every_built_in_model() -> None:
    words = {word.strip(".,") for word in (leaves()["llm steps"].help or "").split()}
    assert set(built_in()) <= words


def test_options_reach_the_listing(here: Here) -> None:
    def listed(*options: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(here(*STEPS, *options, "--json").out)
        return found

    dense = listed("llama-3.1-405b", "--tp", "8", "--pp", "4", "--batch", "5", "--pad", "none", "--dtype", "fp32",
                   "--prompt", "10", "--output", "3", "--gpus-per-node", "4", "--sequence-parallel")  # fmt: skip
    assert (dense["layers"], dense["dtype"], dense["gpus_per_node"]) == ([31, 32, 32, 31], "float32", 4)
    prefill, decode = dense["passes"]
    assert (prefill["tokens"], prefill["padded_tokens"], decode["passes"], decode["padded_tokens"]) == (50, 56, 2, 8)
    sparse = listed("deepseek-v3", "--dp", "8", "--ep", "8", "--all2all", "deepep", "--speculate", "2", "--chunk", "64")
    assert (sparse["dp"], sparse["ep"]) == (8, 8)
    assert [(one["pass"], one["tokens"]) for one in sparse["passes"]] == [("prefill", 64), ("verify", 3)]
    fused = listed("llama-3.1-8b", "--tp", "4", "--fuse-norms", "--engine", "sglang", "--pad", "4:8:+4", "--batch", "5")
    names = ("batch", "pads_to", "fuse_norms", "chunk", "all2all")
    assert [fused[name] for name in names] == [5, [4, 8], True, None, "naive"]
    assert fused["passes"][1]["padded_tokens"] == 8
    assert fused["passes"][1]["steps"][1]["collective"] == "all_reduce_rms_norm"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("llama-3.1-9b",), "unknown model 'llama-3.1-9b'; did you mean 'llama-3.1-8b'?"),
        (("x" * 5000,), "unknown model"),
        (("llama-3.1-8b", "--engine", "vlm"), "unknown engine 'vlm'; did you mean 'vllm'?"),
        (("llama-3.1-8b", "--tp", "3"), "vLLM V1 refuses --tp 3: 32 attention heads do not divide by it."),
        (("llama-3.1-8b", "--prompt", "-1"), "--prompt is -1; it must be at least 1."),
        (("llama-3.1-8b", "--chunk", "0"), "--chunk is 0; it must be at least 1."),
        (("llama-3.1-8b", "--gpus-per-node", "0"), "--gpus-per-node is 0; it must be at least 1."),
        (("llama-3.1-8b", "--dtype", "int32"), "unknown type 'int32'"),
        (("llama-3.1-8b", "--pad", "0"), "size '0' is 0 bytes"),
        (("llama-3.1-8b", "--json", "--latex"), "exclude each other"),
        (("llama-3.1-8b", "--engine", "yalis", "--pp", "2"), "YALIS has no pipeline parallelism"),
    ],
)
def test_bad_input_is_one_sentence(here: Here, arguments: tuple[str, ...], why: str) -> None:
    ran = here(*STEPS, *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert why in ran.err


def test_a_config_without_a_type_needs_one(here: Here, tmp_path: Path) -> None:
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "vocab_size": 9,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    ran = here(*STEPS, str(tmp_path), "--tp", "2")
    assert (ran.code, ran.out) == (2, "")
    assert "names no type that is known; give --dtype" in ran.err
    assert here(*STEPS, str(tmp_path), "--tp", "2", "--dtype", "float16").code == 0


def test_other_files_are_not_replaced(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("a,b\n", encoding="utf-8")
    ran = here(*STEPS, "llama-3.1-8b", "-o", str(path))
    assert (ran.code, ran.out, path.read_text(encoding="utf-8")) == (2, "", "a,b\n")
    assert "was not written by collbench llm steps; give another path" in ran.err
