"""Slurm's commands that do as they are reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from slurm_stage import SACCT, SBATCH, SCANCEL, SQUEUE, Stage

from collbench.jobs import follow


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Slurm's commands that do as they are reported, and no long pauses between looks."""
    found = Stage(tmp_path / "here", tmp_path / "slurm")
    for folder in (found.folder, found.slurm, tmp_path / "bin"):
        folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("sacct", SACCT), ("scancel", SCANCEL)):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\ncd '{found.slurm}' || exit\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(found.folder)
    monkeypatch.setattr(follow, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(follow.Pace, "pause", 0.01)
    return found
