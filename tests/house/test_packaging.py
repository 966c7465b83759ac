"""The wheel holds what the package needs at run time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from collbench.report.page import SCRIPTS

ROOT = Path(__file__).parents[2]


def test_kernels_and_jobs_travel_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("collbench-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("kernels", "jobs"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        share = "collbench/share/"
        assert {name.removeprefix(share) for name in names if name.startswith(f"{share}{folder}/")} == ours
    assert "collbench/share/kernels/machine/cpu.cpp" in names
    assert "collbench/share/kernels/common/args.cuh" in names
    assert {f"collbench/report/assets/{name}" for name in ("page.html", "style.css", *SCRIPTS)} <= set(names)
    assert "collbench/backends/mpi_nvrar.py" in names
    assert not any(name.startswith("tests") for name in names)
