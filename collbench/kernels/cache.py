"""A cache of compiled kernels: checksummed files, written atomically by any number of concurrent processes.

Its entries run as code in this process, so nothing is loaded from a folder or file that another user could have
written.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from collbench.host.trust import ROOT, UntrustedError, check, check_file, check_owner

VARIABLE = "COLLBENCH_CACHE"
DIGEST_BYTES = 32  # of SHA-256; an entry is the digest of its content followed by the content
_OLD = os.O_RDONLY | os.O_NOFOLLOW
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_warned: set[Path] = set()  # folders of which this process has said why they are not used


def folder() -> Path:
    """The folder of the cache: COLLBENCH_CACHE, else ``collbench`` in the user's cache folder; for users without a
    writable home, a folder of their own in the temporary directory."""
    if named := os.environ.get(VARIABLE):
        return Path(os.path.expanduser(named))
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches, "collbench")
    home = _home()
    if home and os.access(home, os.W_OK):
        return Path(home, ".cache", "collbench")
    return Path(tempfile.gettempdir(), f"collbench-{os.geteuid()}")


def _home() -> str | None:
    """The home directory by HOME, else by the password database."""
    with suppress(KeyError):  # containers run users that the database does not know
        return os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    return None


def load(path: Path) -> bytes | None:
    """The content of an entry; None where it is missing or damaged. Raises UntrustedError."""
    try:
        with _opened(path.parent) as place:
            check_file(path, os.stat(path.name, dir_fd=place, follow_symlinks=False))
            with open(os.open(path.name, _OLD, dir_fd=place), "rb") as file:
                entry = file.read()
    except OSError:
        return None
    digest, content = entry[:DIGEST_BYTES], entry[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of an entry; where it is missing, the result of ``make``, which is stored. Safe between processes.

    What another user could have written is neither loaded nor replaced; that is reported once on standard error.
    """
    try:
        content = load(path)
    except UntrustedError as error:
        _warn_untrusted(path.parent, error)
        return make()
    if content is None:
        content = make()
        store(path, content)
    return content


def store(path: Path, content: bytes) -> None:
    """Store ``content`` as an entry; a cache that cannot be used is reported once on standard error."""
    try:
        create(path.parent)
        with _opened(path.parent) as place:
            _replace(path.name, hashlib.sha256(content).digest() + content, place)
    except UntrustedError as error:
        _warn_untrusted(path.parent, error)
    except OSError as error:
        _warn_once(path.parent, f"({error}); set {VARIABLE} to a writable directory")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of the folder, relative to which its entries are opened: nobody else can exchange what was checked.

    Raises UntrustedError where another user could have written its entries.
    """
    check_owner(path, path.lstat())  # a link that another user planted leads to a folder of this one's
    place = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        check(path, os.fstat(place))
        yield place
    finally:
        os.close(place)


def create(path: Path) -> None:
    """Create the folder and its missing parents for this user alone.

    Raises UntrustedError where root would create them in another user's folder, such as the home that sudo keeps.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    if missing and os.geteuid() == ROOT:
        check_owner(missing[-1].parent, missing[-1].parent.stat())
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _replace(name: str, content: bytes, place: int) -> None:
    """Replace an entry of the folder ``place`` atomically: a concurrent reader sees the old file or the new one."""
    scratch = f"{secrets.token_hex(8)}.part"
    handle = os.open(scratch, _NEW, 0o600, dir_fd=place)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, name, src_dir_fd=place, dst_dir_fd=place)
    except OSError:
        with suppress(OSError):
            os.unlink(scratch, dir_fd=place)
        raise


def _warn_untrusted(path: Path, error: UntrustedError) -> None:
    _warn_once(path, f"because {error}; {error.cure}, or set {VARIABLE} to another directory")


def _warn_once(path: Path, why: str) -> None:
    if path not in _warned:
        _warned.add(path)
        print(f"compiled kernels are not cached {why}", file=sys.stderr)
