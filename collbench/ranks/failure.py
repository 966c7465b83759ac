"""Agreement of all ranks on a failure, and the end of the job after one."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from collbench.errors import INTERRUPTED, CannotRunError, Exit, HangError, OutputError, UsageError
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World

T = TypeVar("T")
HANG_TAG, HANG_SECONDS = 5, 5.0
FLUSH_SECONDS = 0.5  # for the launcher to forward stderr, which it may drop after an abort


def attempt(action: Callable[[], T]) -> T | Exception:
    """The result of ``action``, or its error in a form that can be pickled."""
    try:
        return action()
    except HangError:
        raise  # the device is unusable: the job must end
    except CannotRunError as error:
        return error
    except Exception as error:  # of any library: it becomes the reason of a row
        traceback.print_exc()
        return RuntimeError(f"{type(error).__name__}: {error}")


def on_all(where: World, action: Callable[[], T]) -> T | Exception:
    """The result of ``action``; if it fails on a member of ``where``, the error of the lowest such rank on all.

    Only for errors that a library raises before it communicates: an error inside a collective call leaves other ranks
    waiting, and must end the job.
    """
    mine = attempt(action)
    found = where.first(mine if isinstance(mine, Exception) else None)
    if found is None:
        return mine
    member, error = found
    return error if isinstance(error, CannotRunError) else RuntimeError(f"{where.named(member)}: {error}")


def _all_hangs(world: World, mine: HangError) -> str:
    """On rank 0, the messages of all ranks that timed out, in the order of their calls; others send theirs to rank 0.

    Other ranks wait twice as long, since the first to return aborts the job and rank 0 may time out last.
    """
    launch, received, begin = world.launch, [mine], time.monotonic()
    first = launch.Get_rank() == 0
    sent = None if first else launch.isend(mine, 0, HANG_TAG)
    while time.monotonic() < begin + HANG_SECONDS * (1 if first else 2):
        if sent is not None:
            sent.Test()
        elif launch.iprobe(tag=HANG_TAG):
            received.append(launch.recv(tag=HANG_TAG))
        time.sleep(0.05)
    return "; ".join(str(hang) for hang in sorted(received, key=lambda hang: hang.call))


def end_all(world: World, dog: Watchdog, error: BaseException, unwritable: int = Exit.FAILED) -> None:
    """Print ``error``, record the row of the case that it ended, and abort all ranks with its exit code, which is
    ``unwritable`` where a file cannot be written."""
    if isinstance(error, HangError):
        _say(f"collbench: {error}\n")
        dog.fail("timeout", _all_hangs(world, error))
        code: int = Exit.TIMEOUT
    elif isinstance(error, (OutputError, UsageError)):
        _say(f"collbench: {error}\n")
        code = unwritable
    elif isinstance(error, KeyboardInterrupt):
        dog.say_how_to_continue()
        code = INTERRUPTED
    else:
        _say("".join(traceback.format_exception(error)))
        dog.fail("failed", dog.raised(" ".join(f"{type(error).__name__}: {error}".split())))
        code = Exit.FAILED
    time.sleep(FLUSH_SECONDS)
    world.launch.Abort(code)


def _say(text: str) -> None:
    sys.stderr.write(text)  # one write: a launcher may drop later ones
    sys.stderr.flush()
