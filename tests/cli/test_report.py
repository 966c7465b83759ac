"""The command report: what it needs, and its mistakes in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running import Here
from samples import a_record

from collbench.report import library
from collbench.results.records import dump

PROGRAM = """
import sys
import collbench.report.page as page
page.library = lambda: ""
from collbench.cli.main import cli
cli.main(["report", "r.csv", "-o", "out/r.html"], standalone_mode=False)
walls = ("mpi4py.MPI", "cupy", "cuda", "nccl", "nvshmem", "matplotlib.pyplot")
print([name for name in sys.modules if name in walls])
"""


def test_it_writes_a_page_without_mpi_and_gpu(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump([a_record()]))
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.splitlines()) == (0, ["out/r.html", "[]"]), ran.stderr
    assert (tmp_path / "out" / "r.html").read_text().startswith("<!DOCTYPE html>")


def test_without_the_library_it_names_the_extra(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library.library.cache_clear()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    (tmp_path / "r.csv").write_text(dump([a_record()]))
    ran = here("report", "r.csv")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("pip install 'collbench[report]'.\n")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("words", [("no.csv",), ("r.csv", "-o", "r.csv"), ("r.csv", "--only", "bytes=7"), ()])
def test_mistakes_are_one_sentence(here: Here, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "r.csv").write_text(dump([a_record()]))
    ran = here("report", *words)
    assert (ran.code, ran.out) == (2, "")
    assert (tmp_path / "r.csv").read_text() == dump([a_record()])
