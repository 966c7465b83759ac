"""Why the ranks of a launch ended before they had finished, in words for the user."""

from __future__ import annotations

import signal

from collbench.errors import Exit

_STOPPED = (signal.SIGINT, signal.SIGTERM)  # sent by the user or by a job scheduler
_NUMBERS = frozenset(int(each) for each in signal.Signals)


def cause(code: int) -> str:
    """A sentence from the exit code of mpiexec: 128 plus a signal's number, with MPICH also the number itself."""
    number = code - 128 if code > 128 else code
    if number not in _NUMBERS or (code == number and code <= max(Exit)):  # small codes are those of collbench
        return f"A rank failed (exit code {code})."
    how = "The run was stopped" if number in _STOPPED else "A rank was killed"
    return f"{how} ({signal.Signals(number).name})."
