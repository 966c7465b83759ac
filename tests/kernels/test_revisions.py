"""Kernels of a revision: found where they were, with the headers of their time, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkouts import Tree, a_tree, git
from kernel_files import source, write

from collbench.errors import UsageError
from collbench.kernels.files import Broken
from collbench.kernels.header import KernelFile
from collbench.kernels.revisions import kernel_at, own_kernels, own_revision, revision_of_kernel
from collbench.kernels.sources import include_folders, key, texts


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A checkout whose kernels are ours, with one commit."""
    tree = a_tree(tmp_path / "tree")
    monkeypatch.setattr("collbench.host.shipped.PACKAGE", tree.top / "collbench")
    tree.commit("first")
    return tree


def a_kernel(name: str, text: str) -> KernelFile:
    found = kernel_at(name, text)
    assert isinstance(found, KernelFile), found
    return found


def refusal(name: str, text: str) -> str:
    found = kernel_at(name, text)
    assert isinstance(found, Broken), found
    assert "\n" not in found.reason
    return found.reason


def test_a_kernel_of_ours_as_of_a_commit(tree: Tree) -> None:
    first = git(tree.top, "rev-parse", "HEAD")
    tree.change("oneshot.cu", "threads = [128, 256, 512]", "threads = [64]")
    second = tree.commit()
    tree.change("oneshot.cu", "threads = [64]", "threads = [32]")
    for text, commit, threads in (("HEAD~1", first, (128, 256, 512)), ("HEAD", second, (64,))):
        found = a_kernel("oneshot", text)
        assert (found.name, found.symbol, found.threads) == (f"oneshot@{commit[:7]}", "oneshot", threads)
        assert include_folders(found) == (found.path.parent,)
    assert a_kernel("oneshot", "HEAD~1") == a_kernel("oneshot", first[:7])
    assert own_revision("HEAD").commit == second


def test_headers_are_those_of_the_revision_and_decide_what_is_compiled(tree: Tree) -> None:
    tree.change("common/cells.cuh", "add(s, theirs);", "add(s, theirs); add(s, theirs);")
    tree.commit()
    before, now = a_kernel("oneshot", "HEAD~1"), a_kernel("oneshot", "HEAD")
    assert before.path.read_text() == now.path.read_text()
    assert key(before.path, include_folders(before)) != key(now.path, include_folders(now))
    assert key(now.path, include_folders(now)) == key(tree.kernels / "oneshot.cu", (tree.kernels,))
    assert all(path.is_relative_to(now.path.parent) for path in texts(now.path, include_folders(now)))


def test_a_kernel_that_is_gone_can_be_had_with_all_others(tree: Tree) -> None:
    (tree.kernels / "oneshot.cu").unlink()
    tree.commit()
    assert "oneshot" in own_kernels("HEAD~1")
    assert "oneshot" not in own_kernels("HEAD")
    assert a_kernel("oneshot", "HEAD~1").summary


def test_a_users_kernel_in_a_checkout_of_its_own_has_our_present_headers(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine" / "deep"
    mine.mkdir(parents=True)
    git(mine.parent, "init", "--quiet")
    body = '#include "collbench.cuh"\nKERNEL(a) {}\n'
    write(mine, "hop.cu", source(tile="64") + body)
    first = Tree(mine.parent).commit()
    write(mine, "hop.cu", source(tile="128") + body)
    monkeypatch.setenv("COLLBENCH_KERNELS", str(mine))
    found = a_kernel("hop", "HEAD")
    assert (found.name, found.tile) == (f"hop@{first[:7]}", 64)
    assert include_folders(found) == (found.path.parent, tree.kernels)
    assert revision_of_kernel("hop", "HEAD").commit == first != own_revision("HEAD").commit


def test_a_users_kernel_in_our_checkout_has_our_headers_of_the_revision(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tree.top / "mine", "hop.cu", source() + '#include "collbench.cuh"\nKERNEL(a) {}\n')
    tree.commit()
    monkeypatch.setenv("COLLBENCH_KERNELS", str(tree.top / "mine"))
    tree.change("common/cells.cuh", "add(s, theirs);", "add(s, theirs); add(s, theirs);")
    found = a_kernel("hop", "HEAD")
    assert found.headers is not None
    assert tree.kernels not in include_folders(found)
    assert "add(s, theirs); add" not in (found.headers / "common" / "cells.cuh").read_text()
    assert "has no kernels" not in refusal("hop", "HEAD~1")
    assert "has no folder mine" in refusal("hop", "HEAD~1")


def test_revisions_that_cannot_be_used_say_why(tree: Tree) -> None:
    tree.change("common/args.cuh", "u64 patience;", "u32 patience;")
    tree.commit()
    tree.change("common/args.cuh", "u32 patience;", "u64 patience;")
    assert "cannot run here: its revision declares struct Args otherwise" in refusal("oneshot", "HEAD")
    tree.change("oneshot.cu", "summary", "summery")
    last = tree.commit()
    words = refusal("oneshot", "HEAD")
    assert words.startswith(f"oneshot@{last[:7]} is not a kernel that this collbench can read: ")
    assert words.endswith("unknown field 'summery'; did you mean 'summary'?")
    git(tree.top, "mv", "kernels/oneshot.cu", "kernels/one_shot.cu")
    last = tree.commit()
    git(tree.top, "mv", "kernels/one_shot.cu", "kernels/oneshot.cu")
    assert f"oneshot@{last[:7]} does not exist: revision {last[:7]} has no file oneshot.cu" in refusal(
        "oneshot", "HEAD"
    )
    assert "has no revision 'HEAD~9'" in refusal("oneshot", "HEAD~9")
    git(tree.top, "mv", "kernels", "cuda")
    tree.commit()
    git(tree.top, "mv", "cuda", "kernels")
    assert "has no folder kernels" in refusal("oneshot", "HEAD")
    with pytest.raises(UsageError, match="has no folder kernels"):
        own_kernels("HEAD")


def test_one_header_in_the_place_of_many_is_read_like_them(tree: Tree) -> None:
    """Before our headers were in common/, there was one file."""
    parts = ("target", "args", "elements", "cells", "buffers", "shards", "marks", "waiting", "epoch", "call", "put")
    path = tree.kernels / "collbench.cuh"
    text = path.read_text()
    for part in parts:
        there = tree.kernels / "common" / f"{part}.cuh"
        text = text.replace(f'#include "common/{part}.cuh"', there.read_text().replace("#pragma once", ""))
        there.unlink()
    path.write_text(text)
    tree.commit()
    found = a_kernel("oneshot", "HEAD")
    assert [path.name for path in texts(found.path, include_folders(found))][:2] == ["oneshot.cu", "collbench.cuh"]


def test_installed_kernels_have_no_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even inside a checkout of something else, as in a virtual environment there."""
    tree = a_tree(tmp_path / "tree")
    (tree.top / "README").write_text("something else")
    (tree.top / ".gitignore").write_text("kernels")
    tree.commit()
    monkeypatch.setattr("collbench.host.shipped.PACKAGE", tree.top / "collbench")
    assert "kernels has no revisions, since git does not track it" in refusal("oneshot", "HEAD")
