"""Compute times from a replay."""

from __future__ import annotations

from pathlib import Path

import pytest
from deployments import deployed

from collbench.errors import UsageError
from collbench.llm.passes import Batch
from collbench.predict.compute import Roofline
from collbench.predict.gpus import GPUS
from collbench.predict.replayed import replayed
from collbench.results.replays import HEAD, LAYERS, STEP, ReplayRecord, dump

SPEC = "llama-3.1-8b:tp=4:batch=5"
BATCH = Batch(5, 128, 128)


def row(part: str, us: float, count: int, spec: str = SPEC, compute: str = "gemm", stage: int = 1) -> ReplayRecord:
    """A row of a decode step, known within a tenth."""
    return ReplayRecord(
        run_id="x", launch=0, spec=spec, pass_kind="decode", tokens=8, ranks=4, nodes=1, fabric="nvlink",
        compute=compute, spin_us=None, skew="", backend="nccl", part=part, stage=stage, what="", collective="",
        dtype="", bytes=None, hidden=None, group_ranks=None, group_nodes=None, groups=None, count=count, ran_by="",
        params="", status="ok", reason="", samples=9, us_median=us, us_ci_low=0.9 * us, us_ci_high=1.1 * us,
    )  # fmt: skip


def a_file(folder: Path, *rows: ReplayRecord) -> Path:
    path = folder / "replay.csv"
    path.write_text(dump(rows), encoding="utf-8")
    return path


def test_layers_and_head_add_up(tmp_path: Path) -> None:
    """Stages of 20 and 12 layers at 10 and 12 us a layer, and a head of 50 us."""
    path = a_file(
        tmp_path, row(LAYERS, 200.0, 20), row(LAYERS, 144.0, 12, stage=2), row(HEAD, 50.0, 1), row(STEP, 9.0, 1)
    )
    found = replayed(path, None).of(deployed("llama-3.1-8b", "vllm", 4, 2), BATCH, BATCH.decode(5))
    assert (found.us, found.basis) == (32 * 11 + 50, "assumed")  # that attention takes no time
    assert (found.low, found.high) == pytest.approx((32 * 9 + 45, 32 * 13.2 + 55))
    assert found.source == f"compute: matrix products replayed in {path}, without attention"


def test_attention_is_added_by_a_roofline(tmp_path: Path) -> None:
    path, roofline = a_file(tmp_path, row(LAYERS, 320.0, 32), row(HEAD, 50.0, 1)), Roofline(GPUS["h200"], 1.0)
    split = deployed("llama-3.1-8b", "vllm", 4)
    found = replayed(path, roofline).of(split, BATCH, BATCH.decode(5))
    cached = 5 * 192 * 2 * 2 * 128 * 2  # tokens, KV heads of a rank, keys and values of 128 elements in 2 bytes
    assert found.us == pytest.approx(370 + 32 * cached / 4.8e12 * 1e6)
    assert found.basis == "assumed"


@pytest.mark.parametrize(
    ("split", "requests"),
    [(deployed("llama-3.1-8b", "vllm", 2), 5), (deployed("qwen3-8b", "vllm", 4), 5),
     (deployed("llama-3.1-8b", "vllm", 4, dtype="float16"), 5), (deployed("llama-3.1-8b", "vllm", 4), 9),
     (deployed("llama-3.1-8b", "vllm", 4), 8)],
)  # fmt: skip
def test_other_products_are_refused(tmp_path: Path, split: object, requests: int) -> None:
    path = a_file(tmp_path, row(LAYERS, 320.0, 32), row(HEAD, 50.0, 1))
    with pytest.raises(UsageError, match="has no matrix products of"):
        replayed(path, None).of(split, BATCH, BATCH.decode(requests))  # type: ignore[arg-type]


def test_a_replay_without_products_is_refused(tmp_path: Path) -> None:
    path = a_file(tmp_path, row(LAYERS, 320.0, 32, compute="spin"))
    with pytest.raises(UsageError, match="has no time of matrix products; write it with"):
        replayed(path, None)
