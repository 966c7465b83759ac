"""NCCL's log of one process: private, gone from the disk, and never in the way of the user's own settings."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

import pytest

from collbench.host.nccl_log import NAMES, NcclLog, users_file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files of our own would lie; nothing set by the user."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def start_nccl(line: str) -> None:
    """What NCCL does at its first call: it reads its settings and opens the file, from empty."""
    assert (os.environ["NCCL_DEBUG"], os.environ["NCCL_DEBUG_SUBSYS"]) == ("INFO", "INIT")
    path = os.environ["NCCL_DEBUG_FILE"].replace("%%", "%")
    with open(path, "w", encoding="utf-8") as file:
        file.write(line)


def test_what_nccl_writes_is_read_and_nothing_stays_behind(folder: Path) -> None:
    log = NcclLog({})
    with log.enabled():
        start_nccl("first\n")
    assert log.read() == "first\n"
    assert list(folder.iterdir()) == []
    assert not set(NAMES) & set(os.environ)


def test_a_call_that_logs_nothing_leaves_the_file_for_the_next() -> None:
    log = NcclLog({})
    with log.enabled():
        assert "NCCL_DEBUG_FILE" in os.environ
    with log.enabled():
        start_nccl("second\n")
    assert log.read() == "second\n"
    with log.enabled():
        assert "NCCL_DEBUG" not in os.environ, "NCCL has read its settings"


def test_a_world_reads_what_came_since_it_began() -> None:
    log = NcclLog({})
    with log.enabled():
        start_nccl("one world\nanother")
    assert log.read(len("one world\n")) == "another"
    assert log.size() == len("one world\nanother")


def test_a_file_that_nccl_never_opened_is_removed(folder: Path) -> None:
    log = NcclLog({})
    assert len(list(folder.iterdir())) == 1
    log.close()
    assert list(folder.iterdir()) == []


def test_a_percent_sign_in_the_folders_name_is_not_nccls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = folder / "100%p"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    with NcclLog({}).enabled():
        assert os.environ["NCCL_DEBUG_FILE"].startswith(f"{folder}/100%%p/")


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_the_user_win_and_then_nothing_is_known(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "WARN")
    log = NcclLog(os.environ)
    with log.enabled():
        assert {each: os.environ[each] for each in NAMES if each in os.environ} == {name: "WARN"}
    assert (log.read(), log.size(), list(folder.iterdir())) == ("", 0, [])


def test_the_users_file_is_read_where_he_has_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "node7.cluster")
    written = folder / f"nccl.node7.{os.getpid()}.log"
    written.write_text("his\n")
    log = NcclLog({"NCCL_DEBUG": "info", "NCCL_DEBUG_FILE": f"{folder}/nccl.%h.%p.log"})
    with log.enabled():
        assert "NCCL_DEBUG" not in os.environ
    assert log.read() == "his\n"
    assert written.exists()


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"NCCL_DEBUG": "INFO", "NCCL_DEBUG_FILE": "/tmp/%h-%p-%%-%x"}, "/tmp/a-12-%-%x"),
        ({"NCCL_DEBUG": "TRACE", "NCCL_DEBUG_FILE": "log"}, "log"),
        ({"NCCL_DEBUG": "WARN", "NCCL_DEBUG_FILE": "log"}, None),
        ({"NCCL_DEBUG": "INFO"}, None),
        ({"NCCL_DEBUG_FILE": "log"}, None),
    ],
)
def test_where_the_user_lets_nccl_log(variables: dict[str, str], path: str | None) -> None:
    assert users_file(variables, "a.b.c", 12) == (Path(path) if path else None)


def test_no_place_for_files_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    log = NcclLog({})
    with log.enabled():
        assert "NCCL_DEBUG" not in os.environ
    assert log.read() == ""
