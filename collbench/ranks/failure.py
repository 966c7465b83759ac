"""How a rank's failure is agreed on, and how it ends the job."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from collbench.errors import INTERRUPTED, CannotRunError, Exit, HangError
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World

T = TypeVar("T")
HANG_TAG, HANG_SECONDS = 5, 5.0
FLUSH_SECONDS = 0.5  # for a launcher to forward stderr: it may drop it once a rank has aborted


def attempt(action: Callable[[], T]) -> T | Exception:
    """What ``action`` returns, or the error that it raises, fit to travel between ranks."""
    try:
        return action()
    except HangError:
        raise  # the device is lost, and so is the job
    except CannotRunError as error:
        return error
    except Exception as error:  # libraries raise what they like: it becomes a row, and its traceback is printed here
        traceback.print_exc()
        return RuntimeError(f"{type(error).__name__}: {error}")


def on_all(where: World, action: Callable[[], T]) -> T | Exception:
    """What ``action`` returns, or, where it fails on any member of ``where``, the first one's error on all of them.

    Only for what a library may refuse before it waits for others: an error inside a collective call leaves the others
    waiting, and must end the job.
    """
    mine = attempt(action)
    found = where.first(mine if isinstance(mine, Exception) else None)
    if found is None:
        return mine
    rank, error = found
    return error if isinstance(error, CannotRunError) else RuntimeError(f"rank {rank}: {error}")


def _all_hangs(everyone: World, mine: HangError) -> str:
    """On rank 0: what the ranks say that gave up waiting, the furthest behind first. The others send theirs, and wait
    longer: the first to return ends the job, and rank 0 may have given up last."""
    launch, heard, begin = everyone.launch, [mine], time.monotonic()
    first = launch.Get_rank() == 0
    sent = None if first else launch.isend(mine, 0, HANG_TAG)
    while time.monotonic() < begin + HANG_SECONDS * (1 if first else 2):
        if sent is not None:
            sent.Test()
        elif launch.iprobe(tag=HANG_TAG):
            heard.append(launch.recv(tag=HANG_TAG))
        time.sleep(0.05)
    return "; ".join(str(hang) for hang in sorted(heard, key=lambda hang: hang.call))


def end_all(everyone: World, dog: Watchdog, error: BaseException) -> None:
    """Print ``error`` and end all ranks with the exit code that it deserves; where a kernel gave up waiting, the row of
    the case is written first."""
    if isinstance(error, HangError):
        sys.stderr.write(f"collbench: {error}\n")
        sys.stderr.flush()
        dog.expire(_all_hangs(everyone, error))
        code: int = Exit.TIMEOUT
    elif isinstance(error, KeyboardInterrupt):
        code = INTERRUPTED
    else:
        sys.stderr.write("".join(traceback.format_exception(error)))  # in one piece: a launcher may drop later ones
        code = Exit.FAILED
    sys.stderr.flush()
    time.sleep(FLUSH_SECONDS)
    everyone.launch.Abort(code)
