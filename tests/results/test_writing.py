"""Writing files: atomically, never through somebody's symlink, and with one sentence where it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collbench.errors import OutputError, UsageError
from collbench.results.writing import append_text, replace_text


def test_a_text_is_replaced_as_a_whole_with_the_users_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_text(tmp_path / "new" / "a.txt", "one")
        replace_text(tmp_path / "new" / "a.txt", "two")
    finally:
        os.umask(before)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "two"
    assert (tmp_path / "new" / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_planted_symlink_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    for name in ("a.csv", "a.csv.new"):
        (tmp_path / name).symlink_to(target)
    replace_text(tmp_path / "a.csv", "rows")
    assert target.read_text() == "mine"
    assert (tmp_path / "a.csv").read_text() == "rows"
    assert not (tmp_path / "a.csv").is_symlink()


def test_a_full_disk_is_no_mistake_of_the_user() -> None:
    with pytest.raises(OutputError, match=r"/dev/full cannot be written: No space left on device\."):
        append_text(Path("/dev/full"), "rows")


def test_a_file_that_was_removed_is_not_begun_anew(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gone\.csv cannot be written: No such file"):
        append_text(tmp_path / "gone.csv", "rows")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_asks_for_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.csv", tmp_path / ("n" * 300)):
        with pytest.raises(UsageError, match=r"cannot be written: .*; give another path"):
            replace_text(path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
