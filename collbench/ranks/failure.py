"""How a rank's failure ends, or does not end, the job."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable

from collbench.errors import INTERRUPTED, CannotRunError, Exit, HangError
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World

HANG_TAG, HANG_SECONDS = 5, 5.0
TOLD_SECONDS = 0.5  # for a launcher to pass on what was said: it may drop it once a rank has aborted


def attempt(action: Callable[[], object]) -> Exception | None:
    """Run ``action``; the error that it raised, fit to travel between ranks, or None."""
    try:
        action()
    except HangError:
        raise  # the device is lost, and so is the job
    except CannotRunError as error:
        return error
    except Exception as error:  # libraries raise what they like: it becomes a row, and is told here in full
        traceback.print_exc()
        return RuntimeError(f"{type(error).__name__}: {error}")
    return None


def _told(everyone: World, mine: HangError) -> str:
    """On rank 0: what the ranks say that gave up waiting, the furthest behind first. Others tell it, and wait longer:
    who is through ends the job, and rank 0 may have given up last."""
    launch, heard, begin = everyone.launch, [mine], time.monotonic()
    first = launch.Get_rank() == 0
    told = None if first else launch.isend(mine, 0, HANG_TAG)
    while time.monotonic() < begin + HANG_SECONDS * (1 if first else 2):
        if told is not None:
            told.Test()
        elif launch.iprobe(tag=HANG_TAG):
            heard.append(launch.recv(tag=HANG_TAG))
        time.sleep(0.05)
    return "; ".join(str(hang) for hang in sorted(heard, key=lambda hang: hang.call))


def end_all(everyone: World, dog: Watchdog, error: BaseException) -> None:
    """End all ranks with the exit code that ``error`` deserves, and tell it; the watchdog's owner writes the row of a
    kernel that gave up waiting."""
    if isinstance(error, HangError):
        sys.stderr.write(f"collbench: {error}\n")
        sys.stderr.flush()
        dog.on_timeout(_told(everyone, error))
        code: int = Exit.TIMEOUT
    elif isinstance(error, KeyboardInterrupt):
        code = INTERRUPTED
    else:
        sys.stderr.write("".join(traceback.format_exception(error)))  # at once: a launcher may drop what comes in bits
        code = Exit.FAILED
    sys.stderr.flush()
    time.sleep(TOLD_SECONDS)
    everyone.launch.Abort(code)
