"""Folders of kernels exported from git: whole, as git has them, by many at once, and trusted like compiled kernels."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest
from checkouts import Tree, a_tree, git

from collbench.errors import UsageError
from collbench.host.git import Checkout, checkout_of
from collbench.kernels import exports
from collbench.kernels.exports import exported

EXPORTERS = 4


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Kernels in two commits, and a cache of the test's own."""
    monkeypatch.setenv("COLLBENCH_CACHE", str(tmp_path / "cache"))
    tree = a_tree(tmp_path / "tree")
    tree.commit("first")
    (tree.kernels / "oneshot.cu").write_text("changed")
    tree.commit("second")
    return tree


def export(tree: Tree, revision: str = "HEAD") -> Path:
    """Export afresh, as another process does."""
    exported.cache_clear()
    return exported(checkout_of(tree.kernels), git(tree.top, "rev-parse", revision))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_commit_has_a_folder_with_its_files_alone(tree: Tree, tmp_path: Path) -> None:
    before, now = export(tree, "HEAD~1"), export(tree)
    assert before != now
    assert files(now) == files(tree.kernels)
    assert {name for name, content in files(before).items() if files(now)[name] != content} == {"oneshot.cu"}
    assert {path.name for path in (tmp_path / "cache" / "revisions").iterdir()} == {before.name, now.name}
    assert now.name.startswith(git(tree.top, "rev-parse", "--short=12", "HEAD"))
    assert git(tree.top, "status", "--porcelain") == ""


def test_files_are_this_users_alone_whatever_the_umask(tree: Tree, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        export(tree)
    finally:
        os.umask(old)
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "cache").rglob("*")}
    assert modes == {0}


def test_a_folder_that_is_there_is_not_written_again(tree: Tree) -> None:
    path = export(tree)
    before = {file: file.stat().st_mtime_ns for file in (path, *path.rglob("*"))}
    assert export(tree) == path
    assert before == {file: file.stat().st_mtime_ns for file in (path, *path.rglob("*"))}


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "more", "empty"])
def test_a_damaged_folder_is_made_anew(tree: Tree, damage: str) -> None:
    path = export(tree)
    whole = files(path)
    if damage == "more":
        (path / "common" / "stray.cuh").write_text("")
    elif damage == "empty":
        for file in sorted(path.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    elif damage == "gone":
        (path / "collbench.cuh").unlink()
    else:
        text = (path / "collbench.cuh").read_bytes()
        (path / "collbench.cuh").write_bytes(text[:-1] if damage == "cut" else b"/" + text[1:])
    assert export(tree) == path
    assert files(path) == whole
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing is left behind"


def _export(checkout: Checkout, commit: str) -> dict[str, bytes]:
    return files(exported(checkout, commit))


def test_many_processes_export_at_once(tree: Tree) -> None:
    arguments = (checkout_of(tree.kernels), git(tree.top, "rev-parse", "HEAD"))
    with multiprocessing.get_context("spawn").Pool(EXPORTERS) as pool:
        found = pool.starmap(_export, [arguments] * EXPORTERS, chunksize=1)
    assert found == [files(tree.kernels)] * EXPORTERS
    assert len(list(export(tree).parent.iterdir())) == 1


def test_one_that_was_faster_is_kept(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has its folder in place after this one looked, and before it renames its own."""
    path = export(tree)
    before = path.stat().st_ino
    looked: list[Path] = []
    is_whole = exports._is_whole

    def look(where: Path, blobs: object) -> bool:
        looked.append(where)
        return len(looked) > 1 and is_whole(where, blobs)  # type: ignore[arg-type]

    monkeypatch.setattr(exports, "_is_whole", look)
    assert export(tree) == path
    assert len(looked) == 3
    assert path.stat().st_ino == before


@pytest.mark.parametrize("place", ["", "revisions", "exported", "exported/common", "exported/collbench.cuh"])
def test_what_others_could_have_written_is_not_used(tree: Tree, tmp_path: Path, place: str) -> None:
    path = export(tree)
    where = Path(str(tmp_path / "cache" / place).replace("exported", f"revisions/{path.name}"))
    where.chmod(0o777)
    with pytest.raises(UsageError, match=r"cannot be exported, because .* is writable by others; run chmod go-w"):
        export(tree)


def test_a_link_in_the_place_of_a_file_is_not_used(tree: Tree, tmp_path: Path) -> None:
    path = export(tree)
    (tmp_path / "copy").write_bytes((path / "collbench.cuh").read_bytes())
    (path / "collbench.cuh").unlink()
    (path / "collbench.cuh").symlink_to(tmp_path / "copy")
    with pytest.raises(UsageError, match=r"collbench.cuh is a symbolic link; remove it"):
        export(tree)


def test_a_cache_that_cannot_be_written_is_named(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLLBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"cannot be exported .*; set COLLBENCH_CACHE to a writable directory"):
        export(tree)


def test_a_folder_of_other_things_is_too_large(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_BYTES", 1 << 10)
    with pytest.raises(UsageError, match="keep kernels in a folder of their own"):
        export(tree)
