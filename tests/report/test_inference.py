"""LLM inference in a report: the tables of replays, and predictions from the rows of the same report."""

from __future__ import annotations

from pathlib import Path

import pytest
from nights import sidecar
from pages import read
from replayed import a_launch, a_row
from report.conftest import Write
from samples import timed, untimed

from collbench.errors import UsageError
from collbench.printer.plain import plain_page
from collbench.results import replays
from collbench.results.records import Record, dump
from collbench.views import replays as replayed

KINDS = (("all_reduce", 65536, "sum"), ("all_gather", 2052096, ""))


def a_replay(folder: Path, compute: str = "gemm", name: str = "replay", **rivals: float) -> Path:
    """A file of a replay of an 8B model over two ranks: by nvrar in 200 µs of communication, and by ``rivals``."""
    speeds = {"nvrar": 200.0, **{name.replace("_", "-"): us for name, us in rivals.items()}}
    rows = [row for launch in range(3) for each in speeds.items() for row in a_launch(launch, *each, 2.0, compute)]
    (folder / f"{name}.csv").write_text(replays.dump(rows))
    return folder / f"{name}.csv"


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
        "Summary",
        "LLM inference",
        "Machine, versions and commands",
        "Results files",
    ]


SLOWER = "communication alone: nvrar is faster than nccl, 200.0 µs a step against 500.0, 2.50× (2.50 to 2.50)"


def test_a_page_of_replays_alone_begins_with_what_the_command_concludes(write: Write, tmp_path: Path) -> None:
    path = a_replay(tmp_path, nccl=500.0)
    path.with_suffix(".json").write_text(sidecar("2026-11-26T00:00:00+00:00", gpu="NVIDIA H200"))
    summary, inference = read(write(path)).of("section")[:2]
    for said in (summary.text, inference.text, " ".join(plain_page(replayed.page(replays.load(path))).split())):
        assert SLOWER in said
        assert "with matrix products: nvrar is faster than nccl, 1,130 µs a step against 1,430, 1.27×" in said
        assert "95 % for all 2 ratios of a pass together" in said
    head = (
        "One decode step of 8 tokens: llama-3.1-8b:tp=2:batch=8, 2 ranks on 1 node (nvlink), matrix products, on H200"
    )
    assert head in summary.text


def test_several_replays_are_named_and_stand_beside_the_summary_of_cases(write: Write, tmp_path: Path) -> None:
    paths = [a_replay(tmp_path, name=name, nccl=us) for name, us in (("old", 500.0), ("new", 100.0))]
    reader = read(write(a_run(tmp_path), *paths))
    assert [each.text for each in reader.of("h2")][:3] == ["Summary", "Summary: LLM inference", "Latency and bandwidth"]
    summary = reader.of("section")[1].text
    assert summary.index("old.csv: One decode step") < summary.index(SLOWER) < summary.index("new.csv: One decode")
    assert "communication alone: nvrar is slower than nccl, 200.0 µs a step against 100.0, 2.00×" in summary


def test_a_baseline_may_be_one_of_a_replay_and_a_fault_is_bad_news(write: Write, tmp_path: Path) -> None:
    path = a_replay(tmp_path, nccl=500.0, nccl_symm=400.0)
    wrong = a_row(backend="nvrar", launch=1, status="wrong", reason="rank 0: stale", compute="gemm")
    path.write_text(path.read_text() + replays.dump([wrong], header=False))
    page = write(path, baseline="nccl-symm")
    assert "communication alone: nccl is slower than nccl-symm, 500.0 µs a step against 400.0, 1.25×" in page
    assert "is faster than nccl," not in page
    items = [each for each in read(page).of("ul") if each.attributes.get("class") == "bad"]
    assert [each.text for each in items] == ["nvrar has no time: communication wrong: rank 0: stale"]
    with pytest.raises(UsageError, match="did you mean 'nccl-symm'"):
        write(path, baseline="nccl-sym")


def test_a_replay_without_a_row_says_so(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(replays.dump([]))
    assert "r.csv has no row: no launch of its replay has ended." in write(tmp_path / "r.csv")


def test_rows_with_its_collectives_predict_the_replayed_model(write: Write, tmp_path: Path) -> None:
    reader = read(write(a_run(tmp_path), a_replay(tmp_path)))
    assert "fastest" not in [each.text for each in reader.of("td")]  # a source has one split here, which beats none
    text = reader.of("main")[0].text
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


def test_latencies_of_another_machine_predict_nothing(write: Write, tmp_path: Path) -> None:
    run, replay = a_run(tmp_path), a_replay(tmp_path)
    for gpu, count in (("H200", 1), ("H100", 0)):
        run.with_suffix(".json").write_text(sidecar("2026-11-26T00:00:00+00:00", gpu=gpu))
        replay.with_suffix(".json").write_text(sidecar("2026-11-26T00:00:00+00:00", gpu="H200"))
        assert write(run, replay).count("Predicted: ") == count
