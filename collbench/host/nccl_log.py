"""NCCL's log of its initialisation in this process, the only place where NCCL names its transports."""

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
    """The file that NCCL logs to in detail by the user's settings; None if they set none (NCCL, src/debug.cc)."""
    detailed = variables.get("NCCL_DEBUG", "").upper() in ("INFO", "TRACE")
    pattern = variables.get("NCCL_DEBUG_FILE", "")
    if not (detailed and pattern):
        return None
    words = {"%%": "%", "%h": re.sub("[%/]", "-", host.split(".", maxsplit=1)[0]), "%p": str(pid)}
    return Path(re.sub("%[%hp]", lambda found: words[found[0]], pattern))


class NcclLog:
    """NCCL's log of this process: the user's file, else a temporary one.

    The user's NCCL_DEBUG* settings take precedence; where they name no file, the log stays empty and the transport is
    unknown. Only the initialisation of communicators is logged (subsystem INIT), so timed calls write nothing.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._settings: dict[str, str] = {}
        self._own: Path | None = None
        self._file: int | None = None
        self._users = users_file(variables, platform.node(), os.getpid())
        if not any(name in variables for name in NAMES):
            with suppress(OSError):  # without a writable temporary directory there is no log
                self._file, name = tempfile.mkstemp(prefix="collbench-nccl-", suffix=".log")
                self._own = Path(name)
                self._settings = dict(zip(NAMES, ("INFO", name.replace("%", "%%"), "INIT"), strict=True))

    @contextmanager
    def enabled(self) -> Iterator[None]:
        """Enable the log around calls that may be NCCL's first, when it reads its settings.

        On exit the settings are removed from the environment, and the file is unlinked if NCCL has it open.
        """
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
        """Size of the log in bytes."""
        return len(self._bytes())

    def read(self, since: int = 0) -> str:
        """The log from byte ``since`` on; "" where NCCL does not log."""
        return self._bytes()[since:].decode(errors="replace")

    def _bytes(self) -> bytes:
        if self._file is not None:
            return os.pread(self._file, os.fstat(self._file).st_size, 0)
        with suppress(OSError):
            return self._users.read_bytes() if self._users else b""
        return b""

    def close(self) -> None:
        """Remove the temporary file, if it still exists."""
        if self._own:
            self._own.unlink(missing_ok=True)


@functools.cache
def log() -> NcclLog:
    """The log of this process; a single one, since NCCL reads its settings once."""
    found = NcclLog(os.environ)
    atexit.register(found.close)
    return found
