"""Launches that are added to a file are reported with those that it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from replayed import a_row

from collbench.errors import Exit
from collbench.llm.spec import parse_spec
from collbench.replay import replay
from collbench.replay.request import ReplayRequest
from collbench.results.replays import dump, load


def test_all_launches_of_a_file_are_reported_and_the_new_ones_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(dump([a_row(status="wrong")]), encoding="utf-8")
    request = ReplayRequest(
        spec=parse_spec("llama-3.1-8b:tp=2"), which="decode", backends=("mpi",), rest="mpi", compute="none",
        spin_seconds=0.0, skews=(), warmup=0, samples=1, max_seconds=1.0, launches=2, seed=1, timeout=1.0, path=path,
        resume=True, force=False, argv=("llm", "replay", "llama-3.1-8b:tp=2", "--resume", "--json"),
    )  # fmt: skip

    def launch(ranks: int, arguments: list[str]) -> int:
        assert (ranks, arguments) == (2, ["llm", "replay", "-o", str(path), "--resume", "llama-3.1-8b:tp=2"])
        rows = load(path)
        path.write_text(dump([*rows, a_row(launch=len(rows), us_median=9.0)]), encoding="utf-8")
        return 0

    monkeypatch.setattr(replay, "launch_ranks", launch)
    ended = replay.on_own_ranks(request, lambda words: None)
    assert [(row.launch, row.status) for row in ended.records or ()] == [(0, "wrong"), (1, "ok"), (2, "ok")]
    assert ended.code == Exit.FINE
    again = replay.on_own_ranks(replace(request, launches=1), lambda words: None)
    assert len(again.records or ()) == 4
