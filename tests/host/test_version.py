"""The version of a checkout, a wheel and an sdist."""

from __future__ import annotations

import re
import time
from importlib import metadata
from pathlib import Path

import pytest
from checkouts import git

import collbench
from collbench.host import version
from collbench.host.git import Described, git_described
from collbench.host.version import UNKNOWN, spelled


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Described("v0.2.0", 0, "abc1234", False), "0.2.0"),
        (Described("v0.2.0", 5, "abc1234", False), "0.2.1.dev5+gabc1234"),
        (Described("v0.2.9", 5, "abc1234", True), "0.2.10.dev5+gabc1234.dTODAY"),
        (Described("v1.0", 0, "abc1234", True), "1.1.dev0+dTODAY"),
        (Described("v1.0rc1", 2, "abc1234", False), "1.0rc2.dev2+gabc1234"),
        (Described("", 7, "abc1234", False), "0.1.0.dev7+gabc1234"),
    ],
)
def test_versions_of_commits(found: Described, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2027, 1, 2, 0, 0, 0, 0, 1, 0)))
    assert spelled(found) == words.replace("TODAY", "20270102")


def test_a_checkout_is_described_by_its_newest_tag_of_a_version(tmp_path: Path) -> None:
    assert git_described(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message=a")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert git_described(tmp_path) == Described("", 1, commit, False)
    git(tmp_path, "tag", "v0.3.1-rc")
    git(tmp_path, "tag", "nightly-2")
    assert git_described(tmp_path) == Described("v0.3.1-rc", 0, commit, False)
    (tmp_path / "a").write_text("2")
    git(tmp_path, "commit", "--quiet", "--all", "--message=b")
    (tmp_path / "a").write_text("3")
    assert git_described(tmp_path) == Described("v0.3.1-rc", 1, git(tmp_path, "rev-parse", "--short=12", "HEAD"), True)


def test_sources_without_git_have_the_version_of_their_sdist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "PACKAGE", tmp_path / "collbench")
    (tmp_path / "collbench").mkdir()
    monkeypatch.setattr(metadata, "version", lambda _: "0.9")
    assert version.version() == "0.9"
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: collbench\nVersion: 0.3.1\n")
    assert version.version() == "0.3.1"
    (tmp_path / "collbench" / "share").mkdir()
    assert version.version() == "0.9", "an installed wheel"


def test_what_neither_git_nor_pip_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(version, "PACKAGE", tmp_path / "collbench")
    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setenv("PATH", "/nowhere")
    assert version.version() == UNKNOWN


def test_python_knows_the_version() -> None:
    assert collbench.__version__ == version.version()
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?(\.dev\d+)?(\+[\w.]+)?", collbench.__version__)
