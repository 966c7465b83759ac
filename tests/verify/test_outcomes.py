"""Outcomes in their file: what a killed writer leaves, and a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from collbench.errors import OutputError
from collbench.verify.outcomes import Outcome, append, load

ONE = Outcome("1x2", 2, "mpi", "", "all_reduce", "float32", "sum", "plain", 3, "ok", "", 0)


def test_an_outcome_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.touch()  # by the process that starts the ranks
    append(path, ONE)
    append(path, ONE)
    path.write_text(path.read_text()[:-9])
    assert load(path) == [ONE]


def test_a_full_disk_is_said_in_one_sentence() -> None:
    with pytest.raises(OutputError, match=r"/dev/full cannot be written: No space left on device\."):
        append(Path("/dev/full"), ONE)
