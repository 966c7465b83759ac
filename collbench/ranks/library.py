"""The MPI library that mpi4py loads."""

from __future__ import annotations

import re

from collbench.errors import UsageError

_TRIED = re.compile(r"libmpi\.so[.\d]*: cannot open shared object file: No such file")  # a line for each name


def load_mpi(own_rank: bool = False) -> None:
    """Load the MPI library, and start MPI unless ``mpi4py.rc`` says otherwise.

    Raises UsageError without a library, and RuntimeError on a rank that collbench has started, and that fails alone:
    the process that started it has found one.
    """
    try:
        from mpi4py import MPI  # noqa: F401
    except (ImportError, RuntimeError) as error:
        raise (RuntimeError if own_rank else UsageError)(
            f"mpi4py finds no MPI library ({_why(str(error))}); pip install 'collbench[mpich]', or load your cluster's "
            "MPI."
        ) from None


def _why(words: str) -> str:
    """In one line, why no library was loaded: what one lacks that was found, else that none was."""
    summary, *tried = words.splitlines() or ["no reason given"]
    return "; ".join([line for line in tried if not _TRIED.search(line)] or [summary])
