"""One writer: a second one is refused with the name of the first, and a lock ends with its process."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collbench.errors import UsageError
from collbench.results import lock

HOLD = """
import sys, time
from pathlib import Path
from collbench.results import lock
lock.take(Path(sys.argv[1]), [int(part) for part in sys.argv[2]])
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def another_holds(path: Path, parts: str) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock."""
    command = [sys.executable, "-c", HOLD, str(path), parts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a holder to end."""
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)


def test_the_second_writer_learns_who_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with another_holds(path, "01") as other:
        for part in (lock.COMMAND, lock.RANKS):
            with pytest.raises(UsageError, match=rf"r\.csv is being written by process {other.pid} on .* since 20"):
                lock.take(path, (part,))


def test_a_command_and_its_ranks_hold_it_together(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with another_holds(path, "0"):
        lock.take(path, (lock.RANKS,)).release(remove_file=False)
        with pytest.raises(UsageError, match="being written"):
            lock.take(path, (lock.COMMAND, lock.RANKS))


def test_the_file_stays_while_another_holds_a_part(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    mine = lock.take(path, (lock.COMMAND, lock.RANKS))
    mine.hand_over()
    with another_holds(path, "1"):
        mine.release(remove_file=True)
        assert lock.lock_path(path).exists()
        with pytest.raises(UsageError, match="being written"):
            lock.take(path, (lock.COMMAND, lock.RANKS))


def test_a_file_of_another_tool_is_no_lock_of_ours(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("theirs")
    lock.take(tmp_path / "uv.csv", (lock.COMMAND,)).release(remove_file=True)
    assert (tmp_path / "uv.lock").read_text() == "theirs"


def test_it_is_released_by_a_process_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.csv"
    with another_holds(path, "01") as other:
        other.kill()
        other.wait()
        assert lock.lock_path(path).exists()
        lock.take(path, (lock.COMMAND, lock.RANKS)).release(remove_file=True)
    assert not lock.lock_path(path).exists()


def test_ranks_of_a_killed_command_have_time_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.csv"
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 300.0)
    with another_holds(path, "1") as other:
        monkeypatch.setattr("time.sleep", lambda seconds: other.kill())
        lock.take(path, (lock.RANKS,)).release(remove_file=True)


def test_a_planted_symlink_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / ".r.csv.lock").symlink_to(target)
    with pytest.raises(UsageError, match=r"\.r\.csv\.lock cannot be written"):
        lock.take(tmp_path / "r.csv", (lock.COMMAND,))
    assert target.read_text() == "mine"


def test_a_file_system_without_locks_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    lock.take(tmp_path / "r.csv", (lock.COMMAND,)).release(remove_file=True)
    assert "does not support file locks (No locks available); let only one run write" in capsys.readouterr().err
