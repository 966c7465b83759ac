"""Why the ranks of a launch ended before they had finished, in words for the user."""

from __future__ import annotations

import signal

from collbench.errors import Exit

_STOPPED: tuple[signal.Signals | None, ...] = (signal.SIGINT, signal.SIGTERM)  # by the user or by a job scheduler
_NUMBERS = frozenset(int(each) for each in signal.Signals)
_LIKELY = {signal.SIGKILL: "; out of memory is likely", signal.SIGBUS: "; a full /dev/shm is likely"}


def signal_of(code: int) -> signal.Signals | None:
    """The signal behind an exit code of mpiexec: 128 plus its number, with MPICH also the number itself; else None."""
    number = code - 128 if code > 128 else code
    if number not in _NUMBERS or (code == number and code <= Exit.TIMEOUT):  # small codes are those of collbench
        return None
    return signal.Signals(number)


def how(code: int) -> str:
    """How the ranks ended, from the exit code of mpiexec."""
    found = signal_of(code)
    if found is None:
        return "the ranks made no progress" if code == Exit.TIMEOUT else f"a rank failed (exit code {code})"
    if found in _STOPPED:
        return f"the run was stopped ({found.name})"
    return f"a rank was killed ({found.name}{'' if code > 128 else f', or exit code {code}'})"


def cause(code: int, doing: str = "") -> str:
    """A sentence from the exit code of mpiexec and what the ranks were ``doing``, such as "timing: mpi"."""
    words, found = how(code), signal_of(code)
    during = f" while {doing}" if doing and found not in _STOPPED else ""
    return f"{words[0].upper()}{words[1:]}{during}{_LIKELY.get(found, '') if found else ''}."
