"""The cache of what is compiled: where it is, whose entries are loaded, and the message where it cannot be used."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from strangers import STRANGER, give_away

from collbench.host import trust
from collbench.kernels import cache as kernel_cache

PLANTED, MADE = b"planted", b"made"


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """An entry of a cache that this user wrote."""
    path = tmp_path / "cache" / "kernel.so"
    kernel_cache.store(path, PLANTED)
    return path


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable says where the cache is."""
    for name in ("COLLBENCH_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)


def know_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """The password database has this home for everyone."""
    monkeypatch.setattr(pwd, "getpwuid", lambda user: SimpleNamespace(pw_dir=str(home), pw_name="someone"))


def test_a_cache_that_cannot_be_written_is_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        kernel_cache.store(tmp_path / "file" / "entry", b"content")
    assert kernel_cache.load(tmp_path / "file" / "entry") is None
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "COLLBENCH_CACHE" in err


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, nowhere: None, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kernel_cache.folder() == tmp_path / ".cache" / "collbench"
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert kernel_cache.folder() == Path("/scratch/collbench")
    monkeypatch.setenv("COLLBENCH_CACHE", "~/here")
    assert kernel_cache.folder() == tmp_path / "here"


@pytest.mark.parametrize("home", [None, ""])
def test_without_home_the_password_database_has_it(
    monkeypatch: pytest.MonkeyPatch, nowhere: None, tmp_path: Path, home: str | None
) -> None:
    if home is not None:
        monkeypatch.setenv("HOME", home)
    know_home(monkeypatch, tmp_path)
    assert kernel_cache.folder() == tmp_path / ".cache" / "collbench"


def test_a_user_without_a_home_has_a_folder_that_nobody_else_writes(
    monkeypatch: pytest.MonkeyPatch, nowhere: None, tmp_path: Path
) -> None:
    know_home(monkeypatch, tmp_path / "nonexistent")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert kernel_cache.folder() == tmp_path / f"collbench-{os.geteuid()}"


def test_folders_are_made_for_their_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        kernel_cache.store(tmp_path / "a" / "b" / "entry", MADE)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/entry")]
    assert modes == [0o700, 0o700, 0o600]


def open_folder(entry: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    entry.parent.chmod(0o777)
    return f"{entry.parent} is writable by others; run chmod go-w {entry.parent}, or set COLLBENCH_CACHE"


def open_entry(entry: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    entry.chmod(0o660)
    return f"{entry} is writable by others; run chmod go-w {entry}, or set COLLBENCH_CACHE"


def linked_entry(entry: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    entry.symlink_to(entry.rename(entry.with_name("other")))
    return f"{entry} is a symbolic link; remove it"


def piped_entry(entry: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    entry.unlink()
    os.mkfifo(entry, 0o600)
    return f"{entry} is not a regular file; remove it"


def foreign_folder(entry: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return f"{give_away(entry.parent, monkeypatch)}; remove it or run as user {STRANGER}, or set COLLBENCH_CACHE"


def foreign_entry(entry: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return give_away(entry, monkeypatch)


@pytest.mark.parametrize("plant", [open_folder, open_entry, linked_entry, piped_entry, foreign_folder, foreign_entry])
def test_what_another_user_could_have_written_is_not_loaded(
    entry: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plant: Callable[[Path, pytest.MonkeyPatch], str],
) -> None:
    words = plant(entry, monkeypatch)
    before = sorted(entry.parent.iterdir())
    for _ in range(2):
        assert kernel_cache.load_or_make(entry, lambda: MADE) == MADE
    assert sorted(entry.parent.iterdir()) == before
    err = capsys.readouterr().err
    assert f"compiled kernels are not cached because {words}" in err
    assert err.count("\n") == 1


def test_a_link_to_a_folder_is_as_good_as_its_owner(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = entry.parent.with_name("link")
    link.symlink_to(entry.parent)
    assert kernel_cache.load(link / entry.name) == PLANTED
    give_away(link, monkeypatch)
    with pytest.raises(trust.UntrustedError):
        kernel_cache.load(link / entry.name)


def test_root_makes_no_folder_in_the_home_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trust, "ROOT", STRANGER)
    monkeypatch.setattr(kernel_cache, "ROOT", STRANGER)
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    assert kernel_cache.load_or_make(tmp_path / ".cache" / "collbench" / "kernel.so", lambda: MADE) == MADE
    assert not list(tmp_path.iterdir())
    assert f"{tmp_path} belongs to " in capsys.readouterr().err
