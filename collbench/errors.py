"""The errors a user can cause, and the exit codes that scripts may rely on."""

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
    """The worst of what became of all cases: a hang, wrong results, a failure, or nothing that could run at all."""
    if "timeout" in statuses:
        return Exit.TIMEOUT
    if "wrong" in statuses:
        return Exit.WRONG
    return Exit.FAILED if "failed" in statuses or "ok" not in statuses else Exit.FINE


INTERRUPTED = 130  # 128 + SIGINT, as a shell says it


class UsageError(ValueError):
    """Bad input: one sentence that says what, where, and what to do. Ends the command with exit code 2."""


class CannotRunError(RuntimeError):
    """A backend finds, on the machine, that it cannot do what its name promises: the case is skipped, with this."""


class HangError(RuntimeError):
    """A kernel gave up waiting for a peer: who waited for whom, in words, in which of its calls. Ends the job with
    exit code 5."""

    def __init__(self, words: str, call: int) -> None:
        super().__init__(words, call)  # both, so that it can travel between ranks
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
