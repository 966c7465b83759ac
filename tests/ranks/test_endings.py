"""How a launch ended, in words, from the exit code of mpiexec."""

from __future__ import annotations

import pytest

from collbench.ranks.endings import cause, how

DOING = "timing: mpi all_reduce"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, f"A rank was killed (SIGKILL, or exit code 9) while {DOING}; out of memory is likely."),  # MPICH
        (137, f"A rank was killed (SIGKILL) while {DOING}; out of memory is likely."),  # Open MPI
        (135, f"A rank was killed (SIGBUS) while {DOING}; a full /dev/shm is likely."),
        (139, f"A rank was killed (SIGSEGV) while {DOING}."),
        (6, f"A rank was killed (SIGABRT, or exit code 6) while {DOING}."),
        (1, f"A rank failed (exit code 1) while {DOING}."),
        (5, f"The ranks made no progress while {DOING}."),
        (130, "The run was stopped (SIGINT)."),
        (143, "The run was stopped (SIGTERM)."),
    ],
)
def test_a_code_in_words(code: int, words: str) -> None:
    assert cause(code, DOING) == words


def test_between_cases() -> None:
    assert cause(137) == "A rank was killed (SIGKILL); out of memory is likely."
    assert how(137) == "a rank was killed (SIGKILL)"
