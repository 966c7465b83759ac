"""The summary of a step: Markdown is appended to a file, or a reason is given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hostile import STRINGS, a_page

from collbench.printer.markdown import markdown_page
from collbench.printer.step_summary import LIMIT, LONG, append_summary, summary_text
from collbench.tables import Page, notes_of, table_of, words

PAGE = Page((table_of("t", words("a"), [("b",)], ["no verdict: x"]),), notes_of(["how to read it"]))


def test_it_is_appended_below_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    assert [append_summary(path, "check: a_b <c>", PAGE) for _ in range(2)] == ["", ""]
    part = f"## check: a_b \\<c\\>\n\n{markdown_page(PAGE)}\n\n"
    assert path.read_text() == f"before\n{part}{part}"


def test_long_notes_are_folded() -> None:
    lines = [f"no verdict: {number}" for number in range(LONG + 1)]
    page = Page((table_of("t", words("a"), [("b",)], lines),), notes_of(lines[:LONG]))
    parts = summary_text("s", page).split("\n\n")
    assert parts[3:5] == ["<details><summary>Notes</summary>", "\\\n".join(lines)]
    assert parts[5:] == ["</details>", "\\\n".join(lines[:LONG])]


def test_hostile_text_is_written_as_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    assert append_summary(path, STRINGS[0], a_page(*STRINGS)) == ""
    assert "\x1b" not in path.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("", "Is a directory"), ("none/s.md", "No such file"), ("pipe", "No such device")):
        assert why in append_summary(tmp_path / name, "s", PAGE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_a_reason() -> None:
    assert append_summary(Path("/dev/full"), "s", PAGE) == "No space left on device"


def test_what_would_hide_the_whole_summary_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("x" * (LIMIT - 9))
    assert "larger than 1024 KiB" in append_summary(path, "s", PAGE)
    assert path.stat().st_size == LIMIT - 9
