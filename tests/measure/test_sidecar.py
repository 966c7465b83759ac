"""The sidecar of a launch: whole, JSON, without secrets, and the revision of the sources."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from collbench.measure.sidecar import git_revision, launch_facts


def test_the_sidecar_is_json_and_holds_what_it_is_given() -> None:
    content = launch_facts(["sweep"], ranks=[{"rank": 0, "host": "here"}])
    there = json.loads(json.dumps(content))
    assert there == content
    assert there["argv"] == ["sweep"]
    assert there["ranks"] == [{"rank": 0, "host": "here"}]
    assert there["machine"]["cores"] == len(os.sched_getaffinity(0))


def git(folder: Path, *arguments: str) -> str:
    """Output of git in a folder, for an author of its own."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_revision_is_that_of_the_tree_and_says_whether_it_was_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    for step in (["init"], ["add", "file"], ["commit", "-m", "first"], ["tag", "-a", "v9", "-m", "v9"]):
        git(tmp_path, *step)
    revision = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert git_revision(tmp_path) == revision
    (tmp_path / "file").write_text("two")
    assert git_revision(tmp_path) == f"{revision}+"


def test_outside_a_tree_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path) is None
    assert git_revision(tmp_path / "nowhere") is None


def test_without_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(Path(__file__).parent) is None


def test_a_git_that_hangs_gives_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert git_revision(tmp_path) is None
