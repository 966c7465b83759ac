"""Standard output is the product's: what foreign code prints goes to standard error."""

from __future__ import annotations

import ctypes
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

OUT, ERR = 1, 2  # descriptors


@contextmanager
def stdout_to_stderr() -> Iterator[TextIO]:
    """Send to standard error what is printed inside: by Python to ``sys.stdout``, and by C libraries to descriptor 1.

    Yields standard output itself, for the product. Where a descriptor is closed, that level is left as it is.
    """
    product = sys.stdout
    with redirect_stdout(sys.stderr), _descriptor_redirected() as saved:
        if saved is None or not isinstance(product, io.TextIOWrapper) or product is not sys.__stdout__:
            yield product
        else:
            with open(os.dup(saved), "w", encoding=product.encoding, errors=product.errors) as copy:
                yield copy


@contextmanager
def _descriptor_redirected() -> Iterator[int | None]:
    """Yields a copy of the descriptor of standard output, None where it is closed."""
    _flush()  # what was printed before belongs to standard output
    try:
        saved = os.dup(OUT)
    except OSError:
        yield None
        return
    try:
        with suppress(OSError):
            os.dup2(ERR, OUT)
        yield saved
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
