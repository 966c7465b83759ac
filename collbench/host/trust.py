"""Whether a file or folder may be loaded or run: only where no other user could have written it."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

ROOT = 0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UntrustedError(RuntimeError):
    """Another user could have written what is about to be loaded or run; the message says what and why.

    ``cure`` is what to do about it.
    """

    def __init__(self, words: str, cure: str) -> None:
        super().__init__(words)
        self.cure = cure


def check_owner(path: Path, status: os.stat_result) -> None:
    """Raise UntrustedError unless ``path``, whose status is given, belongs to this user or to root."""
    if status.st_uid not in (ROOT, os.geteuid()):
        owner = _name(status.st_uid)
        raise UntrustedError(f"{path} belongs to {owner}", f"remove it or run as {owner}")


def check(path: Path, status: os.stat_result) -> None:
    """Raise UntrustedError unless ``path`` belongs to this user or to root and nobody else may write it."""
    check_owner(path, status)
    if status.st_mode & _OTHERS_WRITE:
        raise UntrustedError(f"{path} is writable by others", f"run chmod go-w {path}")


def check_file(path: Path, status: os.stat_result) -> None:
    """``check`` for a file, whose status is that of the name itself; raises UntrustedError for a link, pipe or folder
    too."""
    if stat.S_ISLNK(status.st_mode):
        raise UntrustedError(f"{path} is a symbolic link", "remove it")
    check(path, status)
    if not stat.S_ISREG(status.st_mode):
        raise UntrustedError(f"{path} is not a regular file", "remove it")


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
