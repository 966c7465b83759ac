"""The lock on a results file: one command writes it, and the ranks of one launch.

The command locks the first byte of a file beside the results, its ranks the second, since they are other processes and
may outlive it. The kernel releases a lock when the process that holds it ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError
from collbench.results.writing import writing

COMMAND, RANKS = 0, 1
PATIENCE_SECONDS = 3.0  # for ranks to end whose launcher was killed
_REST_SECONDS = 0.1


def lock_path(path: Path) -> Path:
    """Path of the lock of the results file ``path``; it exists while a run may write there."""
    return path.with_name(f".{path.name}.lock")


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds, as an open file; ``works`` where the file system supports locks."""

    path: Path
    handle: int
    works: bool = True

    def release(self, remove_file: bool) -> None:
        """Release the lock. ``remove_file``: unless another process holds a part of it."""
        if remove_file and (not self.works or _acquire(self, (COMMAND, RANKS))):
            self.path.unlink(missing_ok=True)
        os.close(self.handle)

    def hand_over(self) -> None:
        """Release the ranks' part, for ranks that are about to start."""
        if self.works:
            fcntl.lockf(self.handle, fcntl.LOCK_UN, 1, RANKS)


def take(results: Path, parts: Iterable[int]) -> Lock:
    """Lock ``parts`` (COMMAND, RANKS) of a results file for this process.

    Raises UsageError with the holder where another process still holds one of them after PATIENCE_SECONDS. On a file
    system that does not support locks, a warning is printed instead.
    """
    path, deadline = lock_path(results), time.monotonic() + PATIENCE_SECONDS
    while True:
        lock = _open(path)
        try:
            held = _acquire(lock, parts)
        except OSError as error:
            print(
                f"collbench: {path.parent} does not support file locks ({error.strerror}); let only one run write "
                f"{results}.",
                file=sys.stderr,
            )
            return Lock(path, lock.handle, works=False)
        if not held:
            holder = os.pread(lock.handle, 200, 0).decode(errors="replace").strip()
            lock.release(remove_file=False)
            if time.monotonic() > deadline:
                raise UsageError(
                    f"{results} is being written by {holder or 'another run'}; wait for it, or give another -o."
                )
            time.sleep(_REST_SECONDS)
            continue
        if _is_current(lock):
            _sign(lock)
            return lock
        lock.release(remove_file=False)  # its last holder has removed it meanwhile


def _acquire(lock: Lock, parts: Iterable[int]) -> bool:
    """Lock ``parts``, unless another process holds one of them; returns whether this process holds all. Raises OSError
    on a file system that does not support locks."""
    try:
        for part in parts:
            fcntl.lockf(lock.handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, part)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> Lock:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return Lock(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))


def _is_current(lock: Lock) -> bool:
    """Whether the locked file is the one that its path names."""
    try:
        named, held = lock.path.stat(), os.fstat(lock.handle)
    except OSError:
        return False
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)


def _sign(lock: Lock) -> None:
    words = f"process {os.getpid()} on {platform.node()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
    with writing(lock.path):
        os.ftruncate(lock.handle, 0)
        os.pwrite(lock.handle, words.encode(), 0)
