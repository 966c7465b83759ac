"""The wheel holds what the package needs at run time."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_kernels_and_jobs_travel_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("collbench-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("kernels", "jobs"):
        ours = {path.name for path in (ROOT / folder).iterdir() if path.is_file()}
        assert {name.rsplit("/", 1)[1] for name in names if name.startswith(f"collbench/share/{folder}/")} == ours
    assert "collbench/backends/mpi_nvrar.py" in names
    assert not any(name.startswith("tests") for name in names)
