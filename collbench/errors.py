"""Errors that a user can cause, and the exit codes of the commands."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Collection, Iterable


class Exit(enum.IntEnum):
    """Exit codes of every command."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    WRONG = 3
    REGRESSION = 4
    TIMEOUT = 5
    NO_VERDICT = 6


def exit_of(statuses: Collection[str]) -> Exit:
    """The exit code for the statuses of all cases: the gravest of timeout, wrong and failed; FAILED if none is ok."""
    if "timeout" in statuses:
        return Exit.TIMEOUT
    if "wrong" in statuses:
        return Exit.WRONG
    return Exit.FAILED if "failed" in statuses or "ok" not in statuses else Exit.FINE


CANNOT_WRITE = 74  # EX_IOERR of sysexits.h, between ranks and the process that started them; it exits with FAILED
INTERRUPTED, TERMINATED = 130, 143  # 128 + SIGINT, 128 + SIGTERM, as a shell reports them


class UsageError(ValueError):
    """Invalid input; the message says what, where, and what to do. Ends the command with exit code 2."""


class OutputError(RuntimeError):
    """A file cannot be written though its path is valid, as on a full disk. Ends the command with exit code 1."""


class CannotRunError(RuntimeError):
    """A backend cannot run a case on this machine; the case is skipped with this message as its reason."""


class HangError(RuntimeError):
    """A kernel timed out waiting for a peer. The message names both ranks; ``call`` is the number of the call. Ends the
    job with exit code 5."""

    def __init__(self, words: str, call: int) -> None:
        super().__init__(words, call)  # both, so that it can be pickled and sent to other ranks
        self.call = call

    def __str__(self) -> str:
        return str(self.args[0])


def pick(what: str, name: str, known: Iterable[str]) -> str:
    """Return ``name`` if it is one of ``known``; otherwise raise UsageError with the nearest match."""
    names = sorted(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}."
    raise UsageError(f"unknown {what} {name!r}; {hint}")
