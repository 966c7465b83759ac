"""Signals at each stage: a stopped rank is named, a killed process costs no finished row, and one run writes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from running import GUARD_SECONDS, Mpi, statuses, wait_for_rows

from collbench.host.procfs import text

MANY = ("sweep", "--ranks", "3", "--backend", "mpi", "--sizes", "4K:4M:+4K", "--max-seconds", "0.1", "-o", "r.csv")
FEW = ("sweep", "--ranks", "3", "--backend", "mpi", "--sizes", "4K,8K", "--max-seconds", "0.1", "-o", "r.csv")


def ranks_of(starter: int) -> list[int]:
    """The ranks that a command has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            program, *_ = (folder / "cmdline").read_bytes().split(b"\0")
            if program.endswith(b"python") and f'{{"pid": {starter},'.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return sorted(found)


def until_gone(pids: list[int]) -> None:
    """Wait until none of these processes is left."""
    deadline = time.monotonic() + GUARD_SECONDS
    while any(text(Path(f"/proc/{pid}/cmdline")) for pid in pids):  # it may go while it is read
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)


@contextmanager
def begun(mpi: Mpi, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A sweep that has its first row; nothing of it is left behind."""
    with mpi.start(*MANY, *more) as child:
        try:
            wait_for_rows(mpi.folder / "r.csv", 1)
            yield child
        finally:
            for pid in (child.pid, *ranks_of(child.pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_one_run_writes_and_ranks_end_with_a_launcher_that_is_killed(mpi: Mpi) -> None:
    with begun(mpi) as child:
        second = [mpi.run(*FEW, how) for how in ("--resume", "--force")]
        ranks = ranks_of(child.pid)
        child.kill()
        until_gone(ranks)
    assert [ran.code for ran in second] == [2, 2]
    assert all("r.csv is being written by process " in ran.err for ran in second)
    assert len(ranks) == 3
    assert mpi.run(*FEW, "--resume").code == 0
    rows = mpi.rows()
    assert statuses(rows) <= {"ok", "failed"}
    assert len({(row.launch, row.bytes) for row in rows}) == len(rows)
    assert not list(mpi.folder.glob("*.lock"))


def test_a_rank_that_is_stopped_is_the_one_that_is_named(mpich: Mpi) -> None:
    with begun(mpich, "--timeout", "6") as child:
        os.kill(ranks_of(child.pid)[-1], signal.SIGSTOP)
        deadline = time.monotonic() + GUARD_SECONDS
        while "timeout" not in statuses(mpich.rows()):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    (row,) = (row for row in mpich.rows() if row.status == "timeout")
    words = row.reason.partition("; ")[2]
    assert words.startswith("rank ")
    assert words.count("rank") == 1, "the two that waited for it are not named"
    assert "has shown no sign of life for" in words


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_how_to_continue(mpich: Mpi, number: signal.Signals) -> None:
    with begun(mpich) as child:
        child.send_signal(number)
        _, err = child.communicate()
    assert child.returncode == 128 + number
    assert f"The run was stopped ({number.name}). Finished rows are in r.csv; continue with --resume" in err
    assert "\x1b" not in err
    assert not (mpich.folder / "r.doing").exists()
