"""LLM inference in a report: the tables of replays, and predictions from the rows of the same report."""

from __future__ import annotations

from pathlib import Path

from pages import read
from replayed import a_launch
from report.conftest import Write
from samples import timed, untimed

from collbench.results import replays
from collbench.results.records import Record, dump

KINDS = (("all_reduce", 65536, "sum"), ("all_gather", 2052096, ""))


def a_replay(folder: Path, compute: str = "gemm") -> Path:
    """A file of a replay of an 8B model over two ranks."""
    rows = [row for launch in range(3) for row in a_launch(launch, "nvrar", 200.0, 2.0, compute)]
    (folder / "replay.csv").write_text(replays.dump(rows))
    return folder / "replay.csv"


def a_run(folder: Path, **cells: object) -> Path:
    """A file with all collectives of the replayed step, by two backends."""
    rows: list[Record] = []
    for name, factor in (("nccl", 2.0), ("nvrar", 1.0)):
        for collective, size, op in KINDS:
            more = {"collective": collective, "bytes": size, "op": op}
            world = {"ranks": 2, "gpus_per_node": 2, "fabric": "nvlink", "dtype": "bfloat16", **cells}
            rows += [timed(size / 5e4 * factor, backend=name, launch=launch, **more, **world) for launch in range(3)]
    (folder / "run.csv").write_text(dump(rows))
    return folder / "run.csv"


def test_a_replay_alone_has_its_tables(write: Write, tmp_path: Path) -> None:
    reader = read(write(a_replay(tmp_path)))
    assert any(each.text.startswith("One decode step of 8 tokens") for each in reader.of("caption"))
    assert [each.text for each in reader.of("h2")] == [
        "LLM inference",
        "Machine, versions and commands",
        "Results files",
    ]


def test_rows_with_its_collectives_predict_the_replayed_model(write: Write, tmp_path: Path) -> None:
    text = read(write(a_run(tmp_path), a_replay(tmp_path))).of("main")[0].text
    assert "Predicted: llama-3.1-8b:tp=2:batch=8" in text
    assert "matrix products replayed in replay.csv, without attention (assumed)" in text
    assert "nvrar: measured for TP 2 on 1 node: this report nvrar 64 KiB" in text


def test_why_there_is_no_prediction_is_said_and_virtual_nodes_are_no_source(write: Write, tmp_path: Path) -> None:
    other = write(a_run(tmp_path, ranks=4), a_replay(tmp_path))
    assert "No prediction for llama-3.1-8b:tp=2:batch=8: nothing can be predicted" in other
    assert "Predicted" not in write(a_run(tmp_path, fabric="nvlink-virtual"), a_replay(tmp_path))
    assert "redict" not in read(write(a_run(tmp_path), a_replay(tmp_path, "none"))).of("main")[0].text


def test_a_backend_that_was_wrong_in_a_launch_predicts_nothing(write: Write, tmp_path: Path) -> None:
    path = a_run(tmp_path)
    bad = [untimed("wrong", backend="nccl", launch=3, dtype="bfloat16", ranks=2, gpus_per_node=2, fabric="nvlink",
                   collective=name, bytes=size, op=op) for name, size, op in KINDS]  # fmt: skip
    path.write_text(path.read_text() + dump(bad, header=False))
    text = read(write(path, a_replay(tmp_path))).of("main")[0].text
    assert "nvrar: measured for TP 2" in text
    assert "nccl: measured" not in text
