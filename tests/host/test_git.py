"""The revision of the sources: that of the tree that tracks them, and of no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from collbench.host.git import git_revision


def git(folder: Path, *arguments: str) -> str:
    """Output of git in a folder, for an author of its own."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *author, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one file."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("one")
    for step in (["init"], ["add", "file"], ["commit", "-m", "first"], ["tag", "-a", "v9", "-m", "v9"]):
        git(tree, *step)
    return tree


def test_the_revision_is_that_of_the_tree_and_says_whether_it_was_changed(tree: Path) -> None:
    revision = git(tree, "rev-parse", "--short=12", "HEAD")
    assert git_revision(tree) == revision
    (tree / "file").write_text("two")
    assert git_revision(tree) == f"{revision}+"


def test_a_tree_in_which_the_files_lie_untracked_does_not_count(tree: Path) -> None:
    (tree / "site-packages").mkdir()
    (tree / "site-packages/file").write_text("installed here")
    assert git_revision(tree / "site-packages") is None


def test_variables_that_name_a_repository_are_ignored(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_DIR", str(tree / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    (tmp_path / "file").write_text("one")
    assert git_revision(tmp_path) is None
    assert git_revision(tree)


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
