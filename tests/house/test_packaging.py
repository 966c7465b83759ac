"""The wheel holds what the package needs at run time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from collbench import __version__

ROOT = Path(__file__).parents[2]


def test_kernels_and_jobs_travel_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("collbench-*.whl")
    named = wheel.name.split("-")[1]
    assert named.split("+")[0] == __version__.split("+")[0], "git says the same of the checkout"
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("kernels", "jobs"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        share = "collbench/share/"
        assert {name.removeprefix(share) for name in names if name.startswith(f"{share}{folder}/")} == ours
    package = ROOT / "collbench"
    ours = {
        path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.suffix != ".pyc" and path.is_file()
    }
    assert {name for name in names if name.startswith("collbench/") and "/share/" not in name} == ours, "data, too"
    assert "collbench/share/kernels/machine/cpu.cpp" in names
    assert "collbench/share/kernels/common/args.cuh" in names
    assert "collbench/backends/mpi_nvrar.py" in names
    assert not any(name.startswith("tests") for name in names)
