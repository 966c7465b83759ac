"""Specs of a model on an engine."""

from __future__ import annotations

import pytest

from collbench.errors import UsageError
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
    "qwen3-8b:pad=none": Spec("qwen3-8b", pad=()),
}


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
