"""Progress: a line per case, or a bar without escape sequences that leaves a terminal as it was."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from samples import a_record, untimed

from collbench.measure.progress import Followed, Progress, clock
from collbench.results.files import ResultFile


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


def test_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(quiet=False, stream=stream)
    progress.step(a_record(), 2)
    progress.step(untimed("failed", "no memory\nTraceback"), 2)
    progress.end()
    assert stream.getvalue().splitlines() == [
        "[1/2] mpi all_reduce float32 4 KiB on 4 ranks: 10.00 µs",
        "[2/2] mpi all_reduce float32 4 KiB on 4 ranks: failed: no memory",
    ]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_is_silent(stream: io.StringIO) -> None:
    progress = Progress(quiet=True, stream=stream)
    progress.step(a_record(), 1)
    progress.end()
    assert stream.getvalue() == ""


def test_a_bar_on_a_terminal_has_no_escapes_and_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Progress(quiet=False, stream=stream, began=0.0)
    for _ in range(3):
        progress.step(a_record(), 4)
    progress.end()
    text = stream.getvalue()
    assert "\x1b" not in text
    *_, last, blank, rest = text.split("\r")
    assert last.startswith("[##################......] 3/4, ")
    assert (blank.strip(), rest) == ("", "")
    assert len(last) <= 79


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    Progress(quiet=False, stream=stream).step(a_record(), 1)
    assert stream.getvalue() == "[1/1] mpi all_reduce float32 4 KiB on 4 ranks: 10.00 µs\n"


def test_time_left_in_words() -> None:
    assert [clock(seconds) for seconds in (0, 65, 3599, 7800)] == ["0:00", "1:05", "59:59", "2 h 10 min"]


def test_rows_of_other_processes_are_followed(tmp_path: Path) -> None:
    path, stream = tmp_path / "r.csv", io.StringIO()
    file = ResultFile.create(path, force=False)
    file.append(a_record())
    followed = Followed(path, Progress(quiet=False, stream=stream), lambda rows: 3 - len(rows))
    followed.look()
    assert stream.getvalue() == "", "they are of an earlier run"
    file.append(a_record(launch=1))
    file.append(a_record(launch=2, reason="two\nlines"))
    followed.look()
    followed.look()
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["[1/2]", "[2/2]"]
