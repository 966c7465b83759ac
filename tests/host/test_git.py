"""The revision of the sources, that of the tree that tracks them and of no other; and files of other revisions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from checkouts import git

from collbench.errors import UsageError
from collbench.host.git import (
    Blob,
    Checkout,
    blobs_of,
    checkout_of,
    commit_of,
    contents_of,
    git_revision,
    short_of,
    tree_of,
)


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


# ---- Other revisions ----


def refusal(action: object, *arguments: object) -> str:
    """The sentence of a UsageError."""
    assert callable(action)
    with pytest.raises(UsageError) as caught:
        action(*arguments)
    words = str(caught.value)
    assert "\n" not in words
    assert words.endswith(".")
    return words


def test_a_revision_is_a_branch_a_tag_a_hash_or_relative(tree: Path) -> None:
    first = git(tree, "rev-parse", "HEAD")
    git(tree, "commit", "--allow-empty", "-m", "the second: a, b=c")
    git(tree, "branch", "topic", "HEAD~1")
    for name in ("v9", "topic", first, first[:9], "HEAD~1", "HEAD@{1}", "HEAD^{/first}"):
        assert commit_of(tree, name) == first, name
    assert commit_of(tree, ":/the second: a, b=c") == git(tree, "rev-parse", "HEAD") != first
    assert short_of(tree, first) == first[:7]


@pytest.mark.parametrize(
    "name", ["nothing", "-h", "--all", "^HEAD", "HEAD..HEAD", "HEAD:file", "a:b", "0" * 40, "", "@{9"]
)
def test_what_names_no_commit_is_refused(tree: Path, name: str) -> None:
    assert refusal(commit_of, tree, name).startswith(f"the checkout {tree} has no revision {name!r}; give a branch")


def test_a_hash_that_a_branch_has_as_its_name_is_written_in_full(tree: Path) -> None:
    first = git(tree, "rev-parse", "HEAD")
    git(tree, "commit", "--allow-empty", "-m", "second")
    git(tree, "branch", first[:7], "HEAD")
    assert short_of(tree, first) == first
    assert commit_of(tree, first) == first


def test_a_shallow_clone_says_so(tree: Path, tmp_path: Path) -> None:
    git(tree, "commit", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tree}", "clone")
    words = refusal(commit_of, tmp_path / "clone", "HEAD~1")
    assert words.endswith("has no revision 'HEAD~1'; fetch the others first: git fetch --unshallow.")


def test_files_of_a_revision_are_read_as_they_are_stored(tree: Path) -> None:
    folder = tree / "kernels"
    (folder / "common").mkdir(parents=True)
    files = {"one.cu": b"a\r\n$Id$ \0\xff", "common/two.cuh": b"", "three \u00e9\n.cuh": b"x" * 100_000}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "link.cuh").symlink_to("one.cu")
    (tree / ".gitattributes").write_text("* text eol=lf ident export-subst\nkernels/common export-ignore\n")
    git(tree, "-c", "core.autocrlf=false", "add", "--all")
    (folder / "one.cu").write_text("another one")
    git(tree, "commit", "-m", "kernels")
    index = (tree / ".git" / "index").read_bytes()
    before = git(tree, "status", "--porcelain")
    checkout = checkout_of(folder)
    assert checkout == Checkout(tree, "kernels")
    blobs = blobs_of(tree, tree_of(checkout, commit_of(tree, "HEAD")))
    found = dict(zip(blobs, contents_of(tree, blobs.values()), strict=True))
    assert found == {**files, "one.cu": git_stores(tree, "kernels/one.cu")}
    assert ((tree / ".git" / "index").read_bytes(), git(tree, "status", "--porcelain")) == (index, before)
    assert "has no folder kernels" in refusal(tree_of, checkout, commit_of(tree, "HEAD~1"))


def test_a_file_that_the_repository_lacks_is_a_mistake(tree: Path) -> None:
    blobs = blobs_of(tree, tree_of(checkout_of(tree), commit_of(tree, "HEAD")))
    for gone in (Blob("1" * 40, 3), Blob(blobs["file"].id, 4)):
        assert "lacks files of this revision" in refusal(contents_of, tree, [blobs["file"], gone, blobs["file"]])


def git_stores(tree: Path, path: str) -> bytes:
    """The bytes of a file in the last commit."""
    return subprocess.run(["git", "-C", str(tree), "show", f"HEAD:{path}"], capture_output=True, check=True).stdout


def test_folders_without_revisions_are_refused(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tree / ".git"))
    (tmp_path / "outside").mkdir()
    assert "outside is not in a git checkout and has no revisions" in refusal(checkout_of, tmp_path / "outside")
    (tree / "site-packages").mkdir()
    (tree / "site-packages/file").write_text("installed here")
    assert "site-packages has no revisions, since git does not track it" in refusal(checkout_of, tree / "site-packages")
    assert checkout_of(tree) == Checkout(tree, "")


def test_without_git_a_sentence_says_so(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for words in (refusal(checkout_of, tree), refusal(commit_of, tree, "HEAD")):
        assert words == "kernels of a revision need git, which is not installed here; install it, or omit @REV."


def test_a_repository_of_another_user_says_what_to_do(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\necho \"fatal: detected dubious ownership in repository at '$2'\" >&2\nexit 128\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = refusal(checkout_of, tree)
    assert words.endswith(f"to another user; if you trust it, run git config --global --add safe.directory {tree}.")


def test_a_git_that_hangs_is_a_mistake(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert "timed out after 60.0 seconds" in refusal(checkout_of, tree)
