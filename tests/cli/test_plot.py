"""The command plot: independent of the environment's backend, and one sentence where it cannot write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from samples import a_record

from collbench.cli.main import cli
from collbench.results.records import dump

PROGRAM = """
import sys
from collbench.cli.main import cli
cli.main(["plot", "r.csv", "-o", "charts"], standalone_mode=False)
print([name for name in sys.modules if name == "matplotlib.pyplot" or name.startswith("matplotlib_inline")])
"""


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_the_backend_of_a_notebook_is_never_used(backend: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump([a_record()]))
    variables = {**os.environ, "MPLBACKEND": backend}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "[]"), ran.stderr
    assert len(list((tmp_path / "charts").iterdir())) == 4


def test_a_file_where_the_folder_of_charts_should_be_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump([a_record()]))
    (tmp_path / "file").write_text("")
    ran = CliRunner().invoke(cli, ["plot", str(tmp_path / "r.csv"), "-o", str(tmp_path / "file")])
    assert (ran.exit_code, "is a file" in ran.output) == (2, True)


@pytest.mark.parametrize("command", ["plot", "compare"])
def test_samples_beside_their_results_file_are_left_out(command: str, tmp_path: Path) -> None:
    rows = [a_record(), a_record(backend="nccl")]
    (tmp_path / "r.csv").write_text(dump(rows))
    (tmp_path / "r.samples.csv").write_text("row,sample,latency_us\n")
    words = [command, *map(str, sorted(tmp_path.glob("*.csv"))), *(["-o", str(tmp_path)] if command == "plot" else [])]
    assert CliRunner().invoke(cli, words).exit_code == 0
    alone = CliRunner().invoke(cli, [command, str(tmp_path / "r.samples.csv")])
    assert "holds the samples of a run; give its results file" in str(alone.exception)


def test_rows_may_be_selected_by_sizes_with_units(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(dump([a_record(backend=name, bytes=size) for name in ("mpi", "nccl") for size in (64, 4096)]))
    shown = CliRunner().invoke(cli, ["compare", str(path), "--only", "bytes=4K", "--only", "in_place=False"]).stdout
    assert [line.split()[:2] for line in shown.splitlines() if "unclear" in line] == [["4", "KiB"]]


def test_formats_width_and_title_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(dump([a_record(backend=name) for name in ("mpi", "nccl")]))
    options = ["--format", "pdf,svg", "--width", "one", "--title", "Figure 3"]
    ran = CliRunner().invoke(cli, ["plot", str(path), "-o", str(tmp_path / "charts"), *options])
    assert ran.exit_code == 0, ran.output
    names = [f"r-{kind}.{end}" for kind in ("latency", "bandwidth", "best") for end in ("pdf", "svg")]
    assert [Path(line).name for line in ran.stdout.splitlines()] == names
    assert 'width="252pt"' in (tmp_path / "charts" / "r-latency.svg").read_text()  # 3.5 inches
    wrong = CliRunner().invoke(cli, ["plot", str(path), "--format", "gif"])
    assert (wrong.exit_code, "unknown format 'gif'" in wrong.output) == (2, True)


def test_two_files_with_the_same_cases_are_drawn_as_before_and_after(tmp_path: Path) -> None:
    paths = [tmp_path / "old.csv", tmp_path / "new.csv"]
    for path in paths:
        path.write_text(dump([a_record()]))
    ran = CliRunner().invoke(cli, ["plot", *map(str, paths), "-o", str(tmp_path), "--format", "svg"])
    assert ran.exit_code == 0, ran.output
    assert [Path(line).name for line in ran.stdout.splitlines()] == ["old+new-latency.svg", "old+new-bandwidth.svg"]
