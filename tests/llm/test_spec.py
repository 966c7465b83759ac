"""Specs of a model on an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from collbench.errors import UsageError
from collbench.llm.passes import Pass
from collbench.llm.spec import Spec, parse_spec

EXAMPLES = {
    "llama-3.1-70b": Spec("llama-3.1-70b"),
    "llama-3.1-70b:tp=8:batch=5": Spec("llama-3.1-70b", tp=8, batch=5),
    "qwen3-8b:tp=2:pp=2:gpus-per-node=4:engine=sglang:fuse-norms": Spec(
        "qwen3-8b", tp=2, pp=2, gpus_per_node=4, engine="sglang", fuse_norms=True
    ),
    "qwen3-8b:chunk=512:sequence-parallel:pad=1/2/4:dtype=float16": Spec(
        "qwen3-8b", chunk=512, sequence_parallel=True, pad=(1, 2, 4), dtype="float16"
    ),
    "llama-3.1-70b:tp=8:speculate=4:draft=llama-3.2-3b": Spec("llama-3.1-70b", tp=8, speculate=4, draft="llama-3.2-3b"),
    "llama-3.1-70b:speculate=1:draft=models/small": Spec("llama-3.1-70b", speculate=1, draft="models/small"),
    "qwen3-8b:pad=none": Spec("qwen3-8b", pad=()),
}

SPECULATING = Spec("llama-3.1-70b", tp=8, batch=3, chunk=64, output=20, speculate=2, draft="llama-3.2-3b")


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_spec_is_read_and_written(text: str) -> None:
    assert parse_spec(text) == EXAMPLES[text]
    assert parse_spec(str(EXAMPLES[text])) == EXAMPLES[text]


def test_aliases_and_defaults_are_not_written() -> None:
    assert str(parse_spec("qwen3-8b:tp=1:pad=engine:dtype=bf16")) == "qwen3-8b:dtype=bfloat16"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no model"),
        ("qwen3-8b:tp", "write tp=VALUE"),
        ("qwen3-8b:tp=", "write tp=VALUE"),
        ("qwen3-8b:fuse-norms=1", "write fuse-norms."),
        ("qwen3-8b:tp=2:tp=4", "gives tp twice"),
        ("qwen3-8b:tp=two", "'two' is not a whole number"),
        ("qwen3-8b:tp=1_0", "'1_0' is not a whole number"),
        ("qwen3-8b:tpp=2", "did you mean"),
        ("qwen3-8b:engine=vlm", "did you mean 'vllm'"),
        ("qwen3-8b:dtype=int32", "unknown type"),
    ],
)  # fmt: skip
def test_what_is_no_option_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_spec(text)


def test_a_listing_has_the_collectives_of_the_spec() -> None:
    listing = parse_spec("llama-3.1-70b:tp=8:batch=5").listing()
    sums = [step for step in listing.steps[listing.shown()[-1]] if step.operation == "all_reduce"]
    assert (sum(step.count for step in sums), {step.bytes for step in sums}) == (161, {8 * 8192 * 2})


def test_a_draft_model_has_passes_of_its_own() -> None:
    listing = parse_spec("llama-3.1-70b:tp=8:batch=5:speculate=4:draft=llama-3.2-3b").listing()
    prefill, draft, verify = listing.shown()
    assert (draft, listing.passes[draft]) == (Pass("draft", 5, 5), 4 * 127)
    assert (verify, listing.passes[verify]) == (Pass("verify", 25, 25), 127)
    # 28 layers of 3072 elements; an embedding, two sums a layer and the logits, of 8 rows as the engine pads
    assert [(step.operation, step.count, step.shape, step.derived) for step in listing.steps[draft]] == [
        ("all_reduce", 1, (8, 3072), True), ("all_reduce", 28, (8, 3072), True), ("all_reduce", 28, (8, 3072), True),
        ("all_gather", 1, (5, 128256 // 8), True),
    ]  # fmt: skip
    assert sum(step.count for step in listing.steps[verify] if step.operation == "all_reduce") == 161
    assert [listing.deployment_of(one).model.name for one in (prefill, draft, verify)] == [
        "llama-3.1-70b", "llama-3.2-3b", "llama-3.1-70b",
    ]  # fmt: skip


def test_without_a_draft_model_guesses_cost_nothing() -> None:
    plain, drafted = replace(SPECULATING, draft=None).listing(), SPECULATING.listing()
    assert {one: drafted.steps[one] for one in plain.passes} == plain.steps
    assert {one.kind for one in drafted.passes.keys() - plain.passes.keys()} == {"draft"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speculate": 0}, "--draft needs guesses to make"),
        ({"pp": 2}, "how a draft model runs beside --pp 2 is not known"),
        ({"tp": 16}, "--draft llama-3.2-3b: vLLM V1 refuses --tp 16: 24 attention heads"),
        ({"draft": "llama-3.2-4b"}, "--draft llama-3.2-4b: .* 'llama-3.2-3b'"),
    ],
)
def test_a_draft_that_cannot_run_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(SPECULATING, **change).listing()
