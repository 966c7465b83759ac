"""The passes of a batch: by hand, and against a scheduler that walks token by token."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from collbench.errors import UsageError
from collbench.llm.passes import Batch, Pass


def scheduled(batch: Batch) -> Counter[Pass]:
    """The passes of a scheduler with a budget of tokens: first a decode step of every request whose prompt is
    complete, then tokens of prompts one at a time."""
    missing, left = [batch.prompt] * batch.requests, [0] * batch.requests
    found: Counter[Pass] = Counter()
    drafts = batch.guesses if batch.drafted else 0
    while any(missing) or any(left):
        decoding = [place for place in range(batch.requests) if left[place]]
        tokens, touched = len(decoding) * batch.width, set()
        for place in range(batch.requests):
            while missing[place] and (batch.chunk is None or tokens < batch.chunk):
                missing[place] -= 1
                tokens += 1
                touched.add(place)
        for place in decoding:
            left[place] -= 1
        for place in touched:
            if not missing[place]:
                left[place] = batch.output - 1
        for _ in range(drafts if decoding else 0):
            found[Pass("draft", len(decoding), len(decoding))] += 1
        kind = "prefill" if touched else "verify" if batch.guesses else "decode"
        found[Pass(kind, tokens, len(decoding) * batch.width + len(touched))] += 1
    return found


@pytest.mark.parametrize(("guesses", "drafted"), [(0, False), (2, False), (2, True)])
@pytest.mark.parametrize("chunk", [None, 9, 10, 13, 40, 1000])
@pytest.mark.parametrize(("requests", "prompt", "output"), [(1, 1, 1), (1, 30, 4), (3, 10, 1), (3, 7, 2), (3, 25, 6)])
def test_passes_are_those_of_a_scheduler(
    requests: int, prompt: int, output: int, chunk: int | None, guesses: int, drafted: bool
) -> None:
    batch = Batch(requests, prompt, output, chunk, guesses, drafted)
    assert Counter(batch.passes()) == scheduled(batch)


def test_passes_by_hand() -> None:
    assert Batch(5, 128, 128).passes() == {Pass("prefill", 640, 5): 1, Pass("decode", 5, 5): 127}
    assert Batch(1, 100, 1, chunk=32).passes() == {Pass("prefill", 32, 1): 3, Pass("prefill", 4, 1): 1}
    assert Batch(4, 8, 10, guesses=3).passes() == {Pass("prefill", 32, 4): 1, Pass("verify", 16, 16): 9}
    drafted = Batch(4, 8, 10, guesses=3, drafted=True).passes()
    assert list(drafted.items()) == [
        (Pass("prefill", 32, 4), 1), (Pass("draft", 4, 4), 27), (Pass("verify", 16, 16), 9),
    ]  # fmt: skip


def test_a_batch_of_any_size_is_at_once() -> None:
    assert Batch(10**12, 10**6, 10**9).passes()[Pass("decode", 10**12, 10**12)] == 10**9 - 1


def test_decode_tokens_ride_along() -> None:
    # Two prompts of 6 in chunks of 8: 6 + 2, then a decode token beside the last 4.
    assert Batch(2, 6, 3, chunk=8).passes() == {
        Pass("prefill", 8, 2): 1,
        Pass("prefill", 5, 2): 1,
        Pass("decode", 2, 2): 1,
        Pass("decode", 1, 1): 1,
    }


@pytest.mark.parametrize("prompt", [1, 31, 32, 33, 100])
def test_chunks_of_one_prompt(prompt: int) -> None:
    found = Batch(1, prompt, 1, chunk=32).passes()
    assert sum(found.values()) == -(-prompt // 32)


@pytest.mark.parametrize(("output", "guesses", "least"), [(1, 3, 0), (2, 3, 1), (5, 3, 1), (6, 3, 2), (128, 0, 127)])
def test_the_fewest_decode_steps(output: int, guesses: int, least: int) -> None:
    assert Batch(1, 1, output, guesses=guesses).least_decode_passes() == least


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((0, 1, 1), "--batch is 0; it must be at least 1"),
        ((1, 10**400, 1), "--prompt is more than 1099511627776; give a smaller number"),
        ((1, -5, 1), "--prompt is -5"),
        ((1, 1, 0), "--output is 0"),
        ((1, 1, 1, 0), "--chunk is 0"),
        ((1, 1, 1, None, -1), "--speculate is -1; it must be at least 0"),
        ((1, 100_001, 1, 1), "--chunk 1 makes more than 100000 passes"),
        ((1, 1, 1, None, 0, True), "--draft needs guesses to make; give --speculate too"),
        ((4, 1, 1, 7, 1), "--chunk 7 does not hold the 8 tokens of a decode step"),
    ],
)
def test_impossible_batches_are_refused(values: tuple[Any, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Batch(*values)
