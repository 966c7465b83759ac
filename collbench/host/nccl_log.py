"""The file into which NCCL writes, for this process alone, how it starts: it names its transports nowhere else."""

from __future__ import annotations

import atexit
import functools
import os
import platform
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

NAMES = ("NCCL_DEBUG", "NCCL_DEBUG_FILE", "NCCL_DEBUG_SUBSYS")


def users_file(variables: Mapping[str, str], host: str, pid: int) -> Path | None:
    """Where NCCL logs by the user's own settings, if it does so in detail and into a file (NCCL, src/debug.cc)."""
    detailed = variables.get("NCCL_DEBUG", "").upper() in ("INFO", "TRACE")
    pattern = variables.get("NCCL_DEBUG_FILE", "")
    if not (detailed and pattern):
        return None
    words = {"%%": "%", "%h": re.sub("[%/]", "-", host.split(".", maxsplit=1)[0]), "%p": str(pid)}
    return Path(re.sub("%[%hp]", lambda found: words[found[0]], pattern))


class NcclLog:
    """NCCL's log of this process: the user's file, else one of our own. It stays empty where the user has set part of
    NCCL_DEBUG* otherwise: those settings win, and then nobody knows the transport.

    Only the start of communicators is logged (subsystem INIT), nothing in a call that has run once.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._settings: dict[str, str] = {}
        self._own: Path | None = None
        self._file: int | None = None
        self._users = users_file(variables, platform.node(), os.getpid())
        if not any(name in variables for name in NAMES):
            with suppress(OSError):  # without a place for files there is no log
                self._file, name = tempfile.mkstemp(prefix="collbench-nccl-", suffix=".log")
                self._own = Path(name)
                self._settings = dict(zip(NAMES, ("INFO", name.replace("%", "%%"), "INIT"), strict=True))

    @contextmanager
    def told(self) -> Iterator[None]:
        """Around calls of NCCL that may be the first: NCCL reads its settings then. They do not stay behind, neither
        in the environment nor, once NCCL has the file open, its name on the disk."""
        os.environ.update(self._settings)
        try:
            yield
        finally:
            for name in self._settings:
                del os.environ[name]
            if self._own and self.size():
                self._own.unlink(missing_ok=True)
                self._own, self._settings = None, {}

    def size(self) -> int:
        """Bytes so far."""
        return len(self._bytes())

    def read(self, since: int = 0) -> str:
        """What NCCL wrote from byte ``since`` on; nothing where it does not log."""
        return self._bytes()[since:].decode(errors="replace")

    def _bytes(self) -> bytes:
        if self._file is not None:
            return os.pread(self._file, os.fstat(self._file).st_size, 0)
        with suppress(OSError):
            return self._users.read_bytes() if self._users else b""
        return b""

    def close(self) -> None:
        """Remove what is left of a file of our own."""
        if self._own:
            self._own.unlink(missing_ok=True)


@functools.cache
def log() -> NcclLog:
    """The log of this process: NCCL reads its settings once."""
    found = NcclLog(os.environ)
    atexit.register(found.close)
    return found
