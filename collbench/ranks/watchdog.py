"""Ends a job that makes no progress, and says which rank was doing what."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from collbench.errors import Exit

POLL_SECONDS, GRACE_SECONDS = 0.5, 1.5


class Watchdog:
    """A thread that aborts all ranks with exit code 5 when ``beat`` has not been called for ``timeout`` seconds.

    Every rank runs one and tells its own state on stderr. ``on_timeout`` is called first, with that state, so that
    rank 0 can write the row.
    """

    def __init__(self, who: str, timeout: float, abort: Callable[[int], object]) -> None:
        self._who, self._timeout, self._abort = who, timeout, abort
        self._last, self._doing = time.monotonic(), "starting"
        self._paused = False
        self.on_timeout: Callable[[str], object] = len  # replaced by whoever has a row to write
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def beat(self, doing: str) -> None:
        """Say what comes next; the clock starts again."""
        self._last, self._doing = time.monotonic(), doing

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No clock runs inside: for ranks that wait for others, which are watched themselves."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False
            self.beat("going on")

    def close(self) -> None:
        """Stop watching."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            if not self._paused and time.monotonic() - self._last > self._timeout:
                self._end()
                return

    def _end(self) -> None:
        state = f"{self._who} made no progress for {self._timeout:g} s while {self._doing}"
        sys.stderr.write(f"collbench: {state}\n")  # in one piece: other ranks write too
        sys.stderr.flush()
        self.on_timeout(state)
        time.sleep(GRACE_SECONDS)  # let every rank tell its state before the launcher ends them all
        threading.Timer(5, os._exit, (int(Exit.TIMEOUT),)).start()  # should the MPI library be stuck as well
        self._abort(int(Exit.TIMEOUT))
