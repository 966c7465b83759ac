"""Standard output is the product's: what foreign code prints goes to standard error."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

OUT, ERR = 1, 2  # descriptors


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send to standard error what is printed inside: by Python to ``sys.stdout``, and by C libraries to descriptor 1.

    Where a descriptor is closed, that level is left as it is.
    """
    with redirect_stdout(sys.stderr), _descriptor_redirected():
        yield


@contextmanager
def _descriptor_redirected() -> Iterator[None]:
    _flush()  # what was printed before belongs to standard output
    try:
        saved = os.dup(OUT)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(ERR, OUT)
        yield
    finally:
        _flush()  # what was printed inside does not
        os.dup2(saved, OUT)
        os.close(saved)


def _flush() -> None:
    """Write out what Python and C's standard library hold back for standard output."""
    with suppress(OSError, ValueError):  # a reader that went away, a closed file: noticed by the next who prints
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    ctypes.CDLL(None).fflush(None)
