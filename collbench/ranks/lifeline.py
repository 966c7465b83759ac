"""Ends this rank when its launcher, or the process that started the launch, has ended: a launcher that is killed cannot
end its ranks, which would go on writing to a file that may have been resumed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from collbench.errors import Exit
from collbench.host.processes import Running

POLL_SECONDS = 0.5


def end_with_launcher(starter: Running | None) -> None:
    """Start a thread that ends this process at once when its parent is gone, or ``starter``, if collbench started the
    ranks: between the two there is an mpiexec, which may survive."""
    threading.Thread(target=_watch, args=(orphaned(starter),), name="lifeline", daemon=True).start()


def orphaned(starter: Running | None) -> Callable[[], bool]:
    """A function that returns whether this process has lost its parent of now, or ``starter``."""
    parent = os.getppid()
    return lambda: os.getppid() != parent or not (starter is None or starter.is_alive())


def _watch(is_orphan: Callable[[], bool]) -> None:
    while not is_orphan():
        time.sleep(POLL_SECONDS)
    os._exit(int(Exit.FAILED))  # without clean-up, which would wait for other ranks
