"""Folders of kernels as of a commit, exported from git into the cache: keyed by commit and checked against its hashes.

Any number of processes and hosts may export the same folder at once. Nothing is used that another user could have
written.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import cache as cached
from pathlib import Path, PurePosixPath

from collbench.errors import UsageError
from collbench.host.git import Blob, Checkout, blobs_of, contents_of, tree_of
from collbench.host.trust import UntrustedError, check, check_file, check_owner
from collbench.kernels import cache

FOLDER = "revisions"  # of the cache
MOST_BYTES = 64 << 20  # of the files of a folder
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


@cached
def exported(checkout: Checkout, commit: str) -> Path:
    """The folder of the cache with the regular files of the checkout's folder as of ``commit``, and no others.

    Raises UsageError where git or the cache cannot provide it.
    """
    tree = tree_of(checkout, commit)
    blobs = blobs_of(checkout.top, tree)
    _check_blobs(checkout, commit, blobs)
    path = cache.folder() / FOLDER / f"{commit[:12]}-{tree[:12]}"
    try:
        _provide(path, checkout.top, blobs)
    except UntrustedError as error:
        words = f"{error}; {error.cure}, or set {cache.VARIABLE} to another directory"
        raise UsageError(f"the kernels of revision {commit[:12]} cannot be exported, because {words}.") from None
    except OSError as error:
        words = f"({error}); set {cache.VARIABLE} to a writable directory"
        raise UsageError(f"the kernels of revision {commit[:12]} cannot be exported {words}.") from None
    return path


def _check_blobs(checkout: Checkout, commit: str, blobs: Mapping[str, Blob]) -> None:
    where = f"{checkout.inside or checkout.top} of revision {commit[:12]}"
    if sum(blob.bytes for blob in blobs.values()) > MOST_BYTES:
        raise UsageError(f"{where} has more than {MOST_BYTES >> 20} MiB; keep kernels in a folder of their own.")
    if any({"..", "."} & set(PurePosixPath(name).parts) or name.startswith("/") for name in blobs):
        raise UsageError(f"{where} names files outside it, so it is not exported.")


def _provide(path: Path, top: Path, blobs: Mapping[str, Blob]) -> None:
    """Write the files to ``path`` unless they are there. Raises OSError, UntrustedError."""
    cache.create(path.parent)
    for folder in (path.parent.parent, path.parent):
        check_owner(folder, folder.lstat())
        check(folder, folder.stat())
    if _is_whole(path, blobs):
        return
    scratch = path.with_name(f"{secrets.token_hex(8)}.part")
    try:
        for name, content in zip(blobs, contents_of(top, blobs.values()), strict=True):
            _write(scratch / name, content)
        _replace(scratch, path, blobs)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    cache.create(path.parent)
    with open(os.open(path, _NEW, 0o600), "wb") as file:
        file.write(content)


def _replace(scratch: Path, path: Path, blobs: Mapping[str, Blob]) -> None:
    """Rename the new folder to ``path``; an equal one that another process was faster to make stays."""
    if not _is_whole(scratch, blobs):
        raise OSError(f"{path} could not be written as git has it")
    with suppress(OSError):  # there is a folder already
        scratch.rename(path)
        return
    if not _is_whole(path, blobs):
        aside = scratch.with_suffix(".old")
        path.rename(aside)
        try:
            scratch.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _is_whole(path: Path, blobs: Mapping[str, Blob]) -> bool:
    """Whether the files below ``path`` are ``blobs``. Raises UntrustedError where another user could write them."""
    found = {}
    for folder, _, names in os.walk(path):
        check(Path(folder), os.lstat(folder))
        for name in names:
            file = Path(folder, name)
            check_file(file, file.lstat())
            found[file.relative_to(path).as_posix()] = file.read_bytes()
    return found.keys() == blobs.keys() and all(_hash(found[name], blob) == blob.id for name, blob in blobs.items())


def _hash(content: bytes, blob: Blob) -> str:
    """Git's hash of ``content``, by the algorithm of the repository of ``blob``."""
    whole = b"blob %d\0" % len(content) + content
    return (hashlib.sha1(whole) if len(blob.id) == 40 else hashlib.sha256(whole)).hexdigest()
