"""The listing as tables, JSON and CSV, which agree with each other."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from fractions import Fraction

import pytest
from deployments import deployed

from collbench.llm.listing import COLUMNS, Listing, data, page, show_volume, table
from collbench.llm.passes import Batch
from collbench.llm.spec import parse_spec
from collbench.llm.steps import Deployment
from collbench.printer.plain import plain_page

SMALL = Batch(5, 128, 128)


def text(deployment: Deployment, batch: Batch = SMALL) -> str:
    """What is printed."""
    return plain_page(page(Listing(deployment, batch)))


@pytest.mark.parametrize("engine", ["vllm", "vllm-v0", "sglang", "trtllm", "yalis"])
def test_json_csv_and_tables_agree(engine: str) -> None:
    listing = Listing(deployed("llama-3.1-8b", engine, 4, 1 if engine == "yalis" else 2), SMALL)
    found = json.loads(json.dumps(data(listing), allow_nan=False))
    rows = list(csv.DictReader(io.StringIO(table(listing))))
    steps = [(one["pass"], step) for one in found["passes"] for step in one["steps"]]
    assert len(rows) == len(steps) == sum(len(each.rows) for each in page(listing).tables[:-1])
    for row, (kind, step) in zip(rows, steps, strict=True):
        assert (row["pass"], row["what"], row["collective"]) == (kind, step["what"], step["collective"])
        assert [int(row[name]) for name in ("stage", "count", "bytes", "message_bytes", "ranks")] == [
            step[name] for name in ("stage", "count", "bytes", "message_bytes", "ranks")
        ]
        assert [int(each) for each in row["shape"].split("x")] == step["shape"]
        assert [[int(rank) for rank in group.split()] for group in row["groups"].split("|")] == step["groups"]
    assert list(rows[0]) == list(COLUMNS)


def test_volumes_of_all_passes_are_those_of_each_times_their_number() -> None:
    listing = Listing(deployed("llama-3.1-8b", "vllm", 4, 2, node=4), Batch(3, 50, 9, chunk=32))
    found, total = data(listing), Counter[tuple[str, int]]()
    for one in found["passes"]:
        for volume in one["volumes"]:
            for name in ("in_nodes", "between_nodes"):
                total[name, volume["stage"]] += one["passes"] * volume[name]
    for volume in found["volumes"]:
        for name in ("in_nodes", "between_nodes"):
            assert volume[name] == pytest.approx(total[name, volume["stage"]])


def test_titles_say_how_many_passes_and_how_they_are_padded() -> None:
    shown = text(deployed("llama-3.1-70b", "vllm", 8))
    assert "prefill: 1 pass of 640 tokens · llama-3.1-70b on vLLM V1, TP 8, PP 1, DP 1, EP 1" in shown
    assert "decode: 127 passes of 5 tokens, padded to 8 ·" in shown
    assert "verify: 32 to 127 passes of 20 tokens, padded to 24" in text(
        deployed("llama-3.1-70b", "vllm", 8), Batch(5, 128, 128, guesses=3)
    )


@pytest.mark.parametrize(
    ("deployment", "batch", "note"),
    [
        (
            deployed("llama-3.1-8b", "sglang", 4),
            SMALL,
            "tokens are not padded; give the sizes of the CUDA graphs of SGLang",
        ),
        (deployed("llama-3.1-8b", "vllm", 4, dp=2), SMALL, "those of each of the 2 replicas"),
        (deployed("llama-3.1-8b", "vllm", 4, 2), SMALL, "message of metadata between CPUs"),
        (deployed("llama-3.1-8b", "vllm", 4), SMALL, "a kernel of its own instead of NCCL"),
        (deployed("qwen3-8b", "vllm", 4), SMALL, "qwen3 is taken to send what Llama sends (derived)"),
        (deployed("llama-3.1-8b", "vllm", 4), Batch(2, 50, 4, chunk=16), "different passes; --json and -o list all"),
        (deployed("llama-3.1-8b", "vllm", 4), Batch(2, 50, 4, guesses=1), "drafts are not included"),
        (deployed("mixtral-8x7b", "vllm", 1, dp=4, ep=4, all_to_all="deepep"), SMALL, "all experts of a token are on"),
        (deployed("llama-3.1-8b", "vllm"), SMALL, "Nothing is sent."),
    ],
)
def test_notes(deployment: Deployment, batch: Batch, note: str) -> None:
    assert note in text(deployment, batch)


def test_a_draft_model_is_named_in_its_passes() -> None:
    listing = parse_spec("llama-3.1-70b:tp=8:batch=5:speculate=3:draft=llama-3.2-3b").listing()
    shown = plain_page(page(listing))
    assert "draft: 96 to 381 passes of 5 tokens, padded to 8 · llama-3.2-3b on vLLM V1" in shown
    assert "verify: 32 to 127 passes of 20 tokens, padded to 24 · llama-3.1-70b on vLLM V1" in shown
    assert "the prefill of the draft model is not included" in shown
    rows = list(csv.DictReader(io.StringIO(table(listing))))
    assert {(row["pass"], row["model"]) for row in rows} == {
        ("prefill", "llama-3.1-70b"), ("draft", "llama-3.2-3b"), ("verify", "llama-3.1-70b"),
    }  # fmt: skip
    assert {row["basis"] for row in rows if row["pass"] == "draft"} == {"derived"}
    assert (data(listing)["draft"], data(listing)["speculate"]) == ("llama-3.2-3b", 3)


def test_notes_that_do_not_hold_are_left_out() -> None:
    shown = text(deployed("llama-3.1-8b", "vllm", 4, node=2))
    for note in ("not padded", "replicas", "metadata", "of its own", "taken to send", "different passes", "drafts"):
        assert note not in shown


def test_an_own_kernel_needs_every_group_in_one_node() -> None:
    assert "of its own" in text(deployed("llama-3.1-8b", "vllm", 2, 2, node=4))
    assert "of its own" not in text(deployed("llama-3.1-8b", "vllm", 2, 2, node=3))  # ranks 2 and 3 are apart


def test_the_largest_pass_of_each_kind_is_shown() -> None:
    listing = Listing(deployed("llama-3.1-8b", "vllm", 4), Batch(2, 50, 9, chunk=16))
    assert [(one.kind, one.tokens) for one in listing.shown()] == [("prefill", 16), ("decode", 2)]
    assert len(listing.passes) > 2


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1000, "1,000 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (Fraction(4096, 3), "1.333 KiB"),
     (1023 << 20, "1,023 MiB"), (5 << 40, "5,120 GiB")],
)  # fmt: skip
def test_volumes_are_shown_with_four_digits(size: int, shown: str) -> None:
    assert show_volume(Fraction(size)) == shown
