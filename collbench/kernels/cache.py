"""A folder of files that check themselves: written whole or not at all, by any number of processes at once."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

DIGEST_BYTES = 32  # of SHA-256; an entry is the digest of its content, then the content


def folder() -> Path:
    """COLLBENCH_CACHE, else ``collbench`` where this user's caches are."""
    named = os.environ.get("COLLBENCH_CACHE")
    caches = os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or tempfile.gettempdir(), ".cache")
    return Path(named).expanduser() if named else Path(caches, "collbench")


def load(path: Path) -> bytes | None:
    """The content of an entry, or None where there is none or it was damaged."""
    try:
        entry = path.read_bytes()
    except OSError:
        return None
    digest, content = entry[:DIGEST_BYTES], entry[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of an entry, made and kept where there is none; any number of processes may do it at once."""
    content = load(path)
    if content is None:
        content = make()
        store(path, content)
    return content


def store(path: Path, content: bytes) -> None:
    """Make ``content`` an entry. Where that cannot be, it is said once on standard error and is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, hashlib.sha256(content).digest() + content)
    except OSError as error:
        _say_once(f"compiled kernels are not kept ({error}); set COLLBENCH_CACHE to a directory that you may write to")


def _replace(path: Path, content: bytes) -> None:
    """Whoever reads ``path`` meanwhile finds the old file or the new one, whole."""
    handle, name = tempfile.mkstemp(prefix=path.stem, suffix=".part", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


@functools.cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)
