"""A cache of compiled kernels: checksummed files, written atomically by any number of concurrent processes."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

DIGEST_BYTES = 32  # of SHA-256; an entry is the digest of its content followed by the content


def folder() -> Path:
    """The folder of the cache: COLLBENCH_CACHE, else ``collbench`` in the user's cache folder."""
    named = os.environ.get("COLLBENCH_CACHE")
    caches = os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or tempfile.gettempdir(), ".cache")
    return Path(named).expanduser() if named else Path(caches, "collbench")


def load(path: Path) -> bytes | None:
    """The content of an entry; None where it is missing or damaged."""
    try:
        entry = path.read_bytes()
    except OSError:
        return None
    digest, content = entry[:DIGEST_BYTES], entry[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of an entry; where it is missing, the result of ``make``, which is stored. Safe between processes."""
    content = load(path)
    if content is None:
        content = make()
        store(path, content)
    return content


def store(path: Path, content: bytes) -> None:
    """Store ``content`` as an entry; a cache that cannot be written is reported once on standard error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, hashlib.sha256(content).digest() + content)
    except OSError as error:
        _warn_once(f"compiled kernels are not cached ({error}); set COLLBENCH_CACHE to a writable directory")


def _replace(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically: a concurrent reader sees the old file or the new one."""
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
def _warn_once(text: str) -> None:
    print(text, file=sys.stderr)
