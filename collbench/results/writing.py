"""Writing files: atomically, and with one sentence where it fails."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from collbench.errors import OutputError, UsageError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn OSError into one sentence: OutputError where the disk is full or fails, else UsageError, which asks for
    another path."""
    try:
        yield
    except OSError as error:
        if error.errno in OUT_OF_SPACE:
            raise OutputError(f"{path} cannot be written: {error.strerror}.") from None
        raise UsageError(f"{path} cannot be written: {error.strerror}; give another path.") from None


def check_folder(folder: Path, path: Path) -> None:
    """Create the folder in which ``path`` is to be written later, and raise now what that would raise."""
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def replace_text(path: Path, text: str, mode: int = 0o666) -> None:
    """Replace the contents of the file by ``text`` in UTF-8, as ``replace_bytes`` does."""
    replace_bytes(path, text.encode(), mode)


def replace_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replace the contents of the file atomically: a reader sees either the old or the new ones. The umask applies to
    ``mode``.

    The scratch file has a random name and is created anew, so that nobody can lead the writer to another file by a
    symlink. Raises UsageError or OutputError as ``writing`` does.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{secrets.token_hex(8)}.new")
        handle = os.open(scratch, _NEW, mode)
        try:
            with open(handle, "wb") as file:
                file.write(content)
            scratch.replace(path)
        except OSError:
            with suppress(OSError):
                scratch.unlink()
            raise


def append_text(path: Path, text: str) -> None:
    """Append to an existing file and sync it to disk. Raises OutputError where it cannot be written, or has been
    removed since it was created."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from None
