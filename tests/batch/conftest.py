"""PBS's commands that do as files say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pbs_stage import POLARIS, QDEL, QSELECT, QSTAT, QSUB, QUEUED, Stage

from collbench.jobs import follow


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Stand-ins for PBS's commands, a profile like that of Polaris, and no long pauses between looks."""
    found = Stage(tmp_path / "here", tmp_path / "pbs")
    for folder in (found.folder, found.pbs, tmp_path / "bin"):
        folder.mkdir()
    for name, text in (("qsub", QSUB), ("qstat", QSTAT), ("qselect", QSELECT), ("qdel", QDEL)):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\ncd '{found.pbs}' || exit\n{text}\n")
        path.chmod(0o755)
    found.set("queued", json.dumps(QUEUED))
    (found.folder / "polaris.toml").write_text(POLARIS)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(found.folder)
    monkeypatch.setattr(follow, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(follow.Pace, "pause", 0.01)
    return found
