"""Standard streams that were closed, lead to a full disk or to nobody, or cannot show a character."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import clean_environment
from samples import timed

from collbench.results.files import write_whole

COLLBENCH = (sys.executable, "-m", "collbench")


def run(shell: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run collbench with redirections of a shell."""
    command = ["sh", "-c", f'exec "$@" {shell}', "sh", *COLLBENCH, *arguments]
    return subprocess.run(command, capture_output=True, env=clean_environment(**variables), check=False)


@pytest.mark.parametrize(
    ("encoding", "unit", "line"),
    [
        ("latin-1", "nccl \xb5s".encode("latin-1"), b"---"),
        ("ascii", b"nccl us", b"---"),
        ("cp1251:strict", "nccl \xb5s".encode("cp1251"), b"---"),
        ("utf-8", "nccl \xb5s".encode(), "───".encode()),
    ],
)
def test_a_terminal_shows_what_it_can(tmp_path: Path, encoding: str, unit: bytes, line: bytes) -> None:
    write_whole(tmp_path / "r.csv", [(timed(float(us), backend=name), ()) for us, name in ((3, "nvrar"), (4, "nccl"))])
    ran = run("", "compare", str(tmp_path / "r.csv"), PYTHONIOENCODING=encoding)
    assert ran.returncode == 0, ran.stderr
    assert unit in ran.stdout
    assert line in ran.stdout


def test_what_has_no_likeness_is_a_question_mark() -> None:
    program = r"""
import sys
from collbench.host import terminal
terminal.repair()
for stream in (sys.stdout, sys.stderr):
    print("a\u2192b \u4e2d\udc80 1\u20262", file=stream)
"""
    command, variables = [sys.executable, "-c", program], {**os.environ, "PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(command, capture_output=True, env=variables, check=True)
    assert ran.stdout == ran.stderr == b"a->b ?? 1...2\n"


def test_a_mistake_with_standard_error_closed_is_not_said_on_standard_output() -> None:
    ran = run("2>&-", "sweep", "--sizes", "4X")
    assert (ran.returncode, ran.stdout) == (2, b"")


@pytest.mark.parametrize(("shell", "prints"), [("2>&-", True), (">&-", False), ("<&- >&- 2>&-", False)])
def test_closed_streams(shell: str, prints: bool) -> None:
    ran = run(shell, "list")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert bool(ran.stdout) == prints


def test_a_file_does_not_take_the_place_of_a_closed_stream() -> None:
    program = (
        "import os; from collbench.host import terminal; terminal.repair(); print(os.open('/dev/null', os.O_RDONLY))"
    )
    command = ["sh", "-c", 'exec "$0" -c "$1" <&- 2>&-', sys.executable, program]
    assert int(subprocess.run(command, capture_output=True, check=True).stdout) > 2


def test_a_reader_that_went_away_is_no_error_of_ours() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [*COLLBENCH, "list"], stdout=writer, stderr=subprocess.PIPE, env=clean_environment(), check=False
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_a_full_disk_gets_one_sentence() -> None:
    ran = run(">/dev/full", "list")
    assert ran.returncode == 1
    assert ran.stderr == b"collbench: standard output cannot be written: No space left on device.\n"
