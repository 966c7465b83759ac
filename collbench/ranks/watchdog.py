"""A watchdog that aborts a job without progress and reports what each rank was doing."""

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

    def __init__(self, name: str, timeout: float, abort: Callable[[int], object]) -> None:
        self._name, self._timeout, self._abort = name, timeout, abort
        self._last, self._doing = time.monotonic(), "starting"
        self._on_timeout: Callable[[str], object] | None = None
        self._paused = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def beat(self, doing: str, on_timeout: Callable[[str], object] | None = None) -> None:
        """Restart the clock before the step ``doing``. On a timeout, ``on_timeout`` is called with a message before the
        ranks are aborted, for example to write the row of the case."""
        self._on_timeout = on_timeout
        self._last, self._doing = time.monotonic(), doing

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock inside: for ranks that wait for others, which have watchdogs of their own."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False
            self.beat("resuming")

    def expire(self, state: str) -> None:
        """Call ``on_timeout`` of the current step, if any, with the message ``state``."""
        if self._on_timeout is not None:
            self._on_timeout(state)

    def close(self) -> None:
        """Stop the thread."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            if not self._paused and time.monotonic() - self._last > self._timeout:
                self._end()
                return

    def _end(self) -> None:
        state = f"{self._name} made no progress for {self._timeout:g} s while {self._doing}"
        sys.stderr.write(f"collbench: {state}\n")  # one write: other ranks write too
        sys.stderr.flush()
        self.expire(state)
        time.sleep(GRACE_SECONDS)  # lets every rank print its state before the launcher kills all
        threading.Timer(5, os._exit, (int(Exit.TIMEOUT),)).start()  # in case MPI_Abort hangs
        self._abort(int(Exit.TIMEOUT))
