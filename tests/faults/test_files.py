"""Results files that are damaged in each way: one sentence that names the file, the right exit code, no traceback.

To add a damage, write what it does to a file and what the sentence says.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Here
from samples import timed

from collbench.results.records import dump

ROWS = [timed(5.0 + index, backend=name, bytes=4096 << index) for index in range(3) for name in ("mpi", "mpi-ring")]


def replaced(old: str, new: str, count: int = 1) -> Callable[[Path], object]:
    return lambda path: path.write_text(path.read_text().replace(old, new, count))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def doubled(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1]]))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (os.unlink, "r.csv does not exist"),
    "empty": (lambda path: path.write_text(""), "r.csv is empty"),
    "a folder": (a_folder, "r.csv"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\x00\x01"), "r.csv cannot be read"),
    "another table": (lambda path: path.write_text("size,time\n8,9.5\n"), "r.csv is not a results file of collbench"),
    "of a newer collbench": (replaced("run_id,", "run_id,energy,"), "r.csv was written by a newer collbench"),
    "semicolons": (replaced(",", ";", -1), "r.csv"),
    "cut off": (lambda path: path.write_text(path.read_text()[:-30]), "r.csv, line 7: the last row is truncated"),
    "a cell too few": (replaced("mpi,float32", "mpi"), "r.csv, line 2"),
    "a row twice": (doubled, "r.csv"),
    "no number": (replaced(",5.0,", ",fast,"), "r.csv, line 2"),
    "nan": (replaced(",5.0,", ",nan,"), "r.csv, line 2"),
    "inf": (replaced(",5.0,", ",inf,"), "r.csv, line 2"),
    "zero": (replaced(",5.0,", ",0,"), "r.csv, line 2"),
    "negative": (replaced(",5.0,", ",-5.0,"), "r.csv, line 2"),
}


@pytest.mark.parametrize("command", ["compare", "plot"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_one_sentence(here: Here, damage: str, command: str) -> None:
    path = Path("r.csv")
    path.write_text(dump(ROWS))
    harm, words = DAMAGES[damage]
    harm(path)
    ran = here(command, "r.csv")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("collbench: ")
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert not Path("plots").exists()


@pytest.mark.parametrize("command", ["compare", "plot"])
def test_a_sound_file_is_read(here: Here, command: str) -> None:
    Path("r.csv").write_text(dump(ROWS))
    assert here(command, "r.csv").code == 0
