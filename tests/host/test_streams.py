"""What foreign code prints stays off standard output, whichever way it prints."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from collbench.host.streams import stdout_to_stderr


def test_what_python_and_c_print_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    print("ours")
    with stdout_to_stderr():
        print("by print")
        os.write(1, b"by descriptor\n")
        ctypes.CDLL(None).puts(b"by the C library, which holds it back")
    print("ours again")
    out, err = capfd.readouterr()
    assert out == "ours\nours again\n"
    assert sorted(err.splitlines()) == ["by descriptor", "by print", "by the C library, which holds it back"]


def test_it_ends_with_an_error_too(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), stdout_to_stderr():
        sys.exit("raised")
    os.write(1, b"ours\n")
    assert capfd.readouterr().out == "ours\n"


def test_text_that_python_held_back_keeps_its_place() -> None:
    program = """
import sys
from collbench.host.streams import stdout_to_stderr
sys.stdout.write("ours, ")
own = sys.stdout
with stdout_to_stderr():
    own.write("theirs")
own.write("ours again")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("ours, ours again", "theirs")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_descriptors_are_no_error(closed: str) -> None:
    program = """
import sys
from collbench.host.streams import stdout_to_stderr
with stdout_to_stderr():
    print("theirs")
sys.exit(7)
"""
    ran = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (7, "")
