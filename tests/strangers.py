"""Files that belong to another user, for tests as root and as anybody else."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

STRANGER = os.geteuid() + 4321


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the file, folder or link to another user, and return the words for that; only root can do so in earnest."""
    if os.geteuid() == 0:
        os.lchown(path, STRANGER, -1)
    else:
        number = path.lstat().st_ino
        for name in ("stat", "fstat"):
            monkeypatch.setattr(os, name, partial(_status, getattr(os, name), number))
    return f"{path} belongs to user {STRANGER}"


def _status(real: Any, number: int, *which: Any, **how: Any) -> os.stat_result:
    found: os.stat_result = real(*which, **how)
    return os.stat_result((*found[:4], STRANGER, *found[5:10])) if found.st_ino == number else found
