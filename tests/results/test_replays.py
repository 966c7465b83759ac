"""Files of replays: rows come back as they were, and any other file is refused in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from replayed import a_row

from collbench.errors import UsageError
from collbench.results.replays import CHAIN, ReplayRecord, dump, load


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [
        a_row(us_median=12.5, samples=20),
        a_row(
            part=CHAIN, what="attention output, MLP output", collective="all_reduce", bytes=4096, count=64, answers=64
        ),
        replace(a_row(), status="failed", reason="a library\nfailed, twice", compute="spin", spin_us=10.0),
    ]
    (tmp_path / "r.csv").write_text(dump(rows), encoding="utf-8")
    assert load(tmp_path / "r.csv") == [*rows[:2], replace(rows[2], reason="a library failed, twice")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its columns are others"),
        ("run_id,launch\n", "its columns are others"),
        (dump([a_row()])[:-10] + "\n", "line 2: the row has"),
        (dump([a_row()]).replace(",decode,8,", ",decode,many,"), "line 2, column tokens: 'many' is not a whole number"),
        (dump([a_row()]).replace(",communication,", ",prologue,"), "part 'prologue' or compute 'none' is unknown"),
    ],
)
def test_any_other_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "r.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=words):
        load(tmp_path / "r.csv")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"r\.csv cannot be read"):
        load(tmp_path / "r.csv")


def test_a_record_says_what_may_be_compared() -> None:
    one: ReplayRecord = a_row()
    assert one.setting == replace(one, launch=3, backend="nccl", part=CHAIN).setting
    assert one.setting != replace(one, compute="gemm").setting


def test_columns_that_come_later_may_be_missing(tmp_path: Path) -> None:
    header, row = dump([a_row()]).splitlines()
    names, cells = header.split(","), row.split(",")
    left = [place for place, name in enumerate(names) if name not in {"skew", "answers"}]
    text = "\n".join(",".join(each[place] for place in left) for each in (names, cells)) + "\n"
    (tmp_path / "r.csv").write_text(text, encoding="utf-8")
    assert load(tmp_path / "r.csv") == [replace(a_row(), skew="", answers=None)]
