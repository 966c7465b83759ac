"""Replays on real ranks: groups of tensor parallelism and boundaries of stages, every answer proven."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from running import BROKEN, Mpi

from collbench.llm.spec import parse_spec
from collbench.results.replays import CHAIN, COMMUNICATION, HEAD, LAYERS, SKEWED, STEP, WITHOUT, ReplayRecord, load

QUICK = ("--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "-o", "r.csv")


def a_model(folder: Path) -> str:
    """The path of the config of a small model."""
    config = {
        "model_type": "llama", "num_hidden_layers": 3, "hidden_size": 64, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 512, "intermediate_size": 128, "torch_dtype": "float32",
    }  # fmt: skip
    (folder / "tiny.json").write_text(json.dumps(config), encoding="utf-8")
    return "tiny.json"


def replayed(rows: Iterable[ReplayRecord]) -> Counter[tuple[str, int | None]]:
    """How often each collective was replayed, by its message."""
    found = Counter[tuple[str, int | None]]()
    for row in rows:
        found[row.collective, row.bytes] += row.count
    return found


def listed(spec: str) -> Counter[tuple[str, int | None]]:
    """How often each collective is in the listing of a decode step."""
    listing, found = parse_spec(spec).listing(), Counter[tuple[str, int | None]]()
    for step in listing.steps[listing.shown()[-1]]:
        found[step.operation, step.message_bytes] += step.count
    return found


def test_two_stages_with_matrix_products_on_ranks_that_collbench_starts(mpich: Mpi) -> None:
    spec = f"{a_model(mpich.folder)}:tp=2:pp=2:batch=4:engine=sglang"
    ran = mpich.run(
        "llm", "replay", spec, "--backend", "mpi-nvrar", "--compute", "gemm", "--launches", "2", *QUICK, "--json",
        COLLBENCH_CONFLICTS="NCCL_X\t0\t1\tkept\nFI_X\t0\t1\toverruled",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    rows = load(mpich.folder / "r.csv")
    assert {(row.status, row.spec, row.ranks, row.samples) for row in rows} == {("ok", spec, 4, 2)}
    parts = Counter((row.launch, row.backend, row.part) for row in rows if row.part != CHAIN)
    once = {("mpi-nvrar", COMMUNICATION): 1, ("mpi-nvrar", STEP): 1, ("", LAYERS): 2, ("", HEAD): 1}
    assert parts == {(launch, *key): times for launch in (0, 1) for key, times in once.items()}
    disputed = {row.part for row in rows if row.params.endswith("conflicts=FI_X+NCCL_X")}
    assert disputed == {COMMUNICATION, STEP, CHAIN}, "with what is computed alone they have nothing to do"
    chains = [row for row in rows if row.part == CHAIN and not row.launch]
    assert replayed(chains) == listed(str(mpich.folder / spec))
    assert {row.ran_by for row in chains if row.collective == "all_reduce"} == {"mpi-nvrar"}
    assert {row.ran_by for row in chains if row.collective == "send"} == {"mpi"}
    assert all(row.answers == row.count for row in chains)
    (shown,) = json.loads(ran.out)
    (only,) = shown["backends"]
    assert only["launches"] == 2
    assert only["beyond_us"] is not None
    notes = json.loads((mpich.folder / "r.json").read_text(encoding="utf-8"))
    assert [(each["launch"], len(each["ranks"]), each["replay"]["which"]) for each in notes["launches"]] == [
        (0, 4, "decode"), (1, 4, "decode"),
    ]  # fmt: skip
    assert [[each["name"] for each in launch["conflicts"]] for launch in notes["launches"]] == [["FI_X", "NCCL_X"]] * 2


def test_wrong_answers_are_named_and_the_other_backends_timed_on_ranks_of_a_launcher(mpich: Mpi) -> None:
    spec = f"{a_model(mpich.folder)}:tp=2"
    ran = mpich.run(
        "llm", "replay", spec, "--backend", "drops-a-rank,mpi", "--skew", "20us:1", *QUICK, ranks=2,
        PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 3, ran.err
    rows = load(mpich.folder / "r.csv")
    reasons = {row.backend: row.reason for row in rows if (row.part, row.status) == (COMMUNICATION, "wrong")}
    assert "the contribution of rank 1 is missing" in reasons["drops-a-rank"]
    good = [row for row in rows if (row.backend, row.status) == ("mpi", "ok")]
    assert {row.part for row in good} == {COMMUNICATION, CHAIN, WITHOUT, SKEWED}
    assert {(row.skew, row.last_late_us) for row in good if row.part == SKEWED} == {("0", 0.0), ("20us:1", 140.0)}
    assert "drops-a-rank: communication wrong: rank" in ran.out
