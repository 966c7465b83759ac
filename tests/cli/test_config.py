"""Sweeps from a configuration file: what wins, and what is recorded of it."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

import pytest
from readmes import ROOT
from running import Here, Mpi

from collbench import __version__
from collbench.cli.sweep import sweep

NIGHTLY = ROOT / "jobs" / "nightly.toml"
FILE = """
backend = "mpi"
sizes = "4K,8K"
max-seconds = 0.01
warmup = 1
ranks = 4
[small]
ranks = 2
sizes = ["4K"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the tests, with a configuration file."""
    (tmp_path / "s.toml").write_text(FILE, encoding="utf-8")
    return tmp_path


def cases(out: str) -> set[tuple[str, int, int]]:
    """The backend, bytes and ranks of what a dry run plans."""
    return {(each["backend"], each["bytes"], each["ranks"]) for each in json.loads(out)}


@pytest.mark.parametrize(
    ("words", "expected", "command"),
    [
        ("", {("mpi", 4096, 4), ("mpi", 8192, 4)},
         "--sizes 4K,8K --backend mpi --ranks 4 --warmup 1 --max-seconds 0.01 --json"),
        ("--set small", {("mpi", 4096, 2)},
         "--sizes 4K --backend mpi --ranks 2 --warmup 1 --max-seconds 0.01 --json"),
        ("--set=small -b 16 --layout 3x1 --ranks=3", {("mpi", 16, 3)},
         "--backend mpi --warmup 1 --max-seconds 0.01 -b 16 --layout 3x1 --ranks=3 --json"),
    ],
)  # fmt: skip
def test_words_win_over_the_set_and_the_set_over_the_file(
    here: Here, folder: Path, words: str, expected: set[tuple[str, int, int]], command: str
) -> None:
    ran = here("sweep", "--config=s.toml", *words.split(), "--json", "--dry-run")
    assert (ran.code, cases(ran.out)) == (0, expected), ran.err
    assert ran.err == f"collbench sweep {command}\n"
    assert cases(here(*shlex.split(ran.err)[1:], "--dry-run").out) == expected, "the command alone is the same"


def test_help_and_completion_read_no_file(here: Here) -> None:
    assert "--config FILE" in here("sweep", "--config", "none.toml", "--help").out
    context = sweep.make_context("sweep", ["--config", "none.toml", "--backend"], resilient_parsing=True)
    assert context.params["launches"] == 1
    ran = here("sweep", "--config", "none.toml", "--dry-run")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "none.toml cannot be read: No such file or directory" in ran.err


def test_a_set_needs_a_file(here: Here) -> None:
    ran = here("sweep", "--set", "small")
    assert (ran.code, ran.err) == (2, "collbench: --set names a set of a file; give the file with --config.\n")


def test_defaults_that_depend_on_others_know_what_the_file_gives(here: Here, folder: Path) -> None:
    (folder / "s.toml").write_text('skew = "5us"\nranks = 2\nbackend = "mpi"\nsizes = "8"\n', encoding="utf-8")
    ran = here("sweep", "--config", "s.toml", "--json", "--dry-run")
    assert {each["mode"] for each in json.loads(ran.out)} == {"isolated"}, ran.err
    ran = here("sweep", "--config", "s.toml", "--mode", "chain", "--dry-run")
    assert (ran.code, "use --mode isolated" in ran.err) == (2, True)


def test_a_sidecar_says_what_was_run_and_by_which_file(mpich: Mpi) -> None:
    path = mpich.folder / "s.toml"
    path.write_text(FILE, encoding="utf-8")
    ran = mpich.run("sweep", "--config", "s.toml", "--set", "small", "--seed", "3", "-o", "r.csv")
    assert ran.code == 0, ran.err
    assert {(row.bytes, row.ranks) for row in mpich.rows()} == {(4096, 2)}
    (launch,) = json.loads((mpich.folder / "r.json").read_text(encoding="utf-8"))["launches"]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert launch["config"] == {"file": "s.toml", "sha256": sha256, "set": "small"}
    assert launch["version"].split("+")[0] == __version__.split("+")[0]
    path.unlink()
    command, *words = launch["argv"]
    found = sweep.make_context(command, words).params
    assert (found["sizes"], found["ranks"], found["seed"], found["warmup"]) == ((4096,), (2,), 3, 1)
    assert not {"--config", "--set", "--configured-by"} & {*words}


@pytest.mark.parametrize("name", ["nightly", "weekly", "serving", "smoke"])
def test_each_set_of_the_example_is_planned(here: Here, name: str) -> None:
    ran = here("sweep", "--config", str(NIGHTLY), "--set", name, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert {each["status"] for each in json.loads(ran.out)} & {"planned", "skipped"}
