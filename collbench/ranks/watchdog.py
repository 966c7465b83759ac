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

    Every rank runs one and prints its own state on stderr.
    """

    def __init__(self, who: str, timeout: float, abort: Callable[[int], object]) -> None:
        self._who, self._timeout, self._abort = who, timeout, abort
        self._last, self._doing = time.monotonic(), "starting"
        self._on_timeout: Callable[[str], object] | None = None
        self._paused = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def beat(self, doing: str, on_timeout: Callable[[str], object] | None = None) -> None:
        """Say what comes next; the clock starts again. Should it never end, ``on_timeout`` gets the state in words
        before the ranks are aborted: whoever writes the row of a case passes one."""
        self._on_timeout = on_timeout
        self._last, self._doing = time.monotonic(), doing

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No clock runs inside: for ranks that wait for others, which are watched themselves."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False
            self.beat("resuming")

    def expire(self, state: str) -> None:
        """Have the row written of what is being done, if there is one."""
        if self._on_timeout is not None:
            self._on_timeout(state)

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
        self.expire(state)
        time.sleep(GRACE_SECONDS)  # every rank prints its state before the launcher ends them all
        threading.Timer(5, os._exit, (int(Exit.TIMEOUT),)).start()  # should the MPI library be stuck as well
        self._abort(int(Exit.TIMEOUT))
