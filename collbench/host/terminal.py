"""Standard streams that take whatever is printed: closed ones lead nowhere, and characters that a terminal cannot show
are replaced."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

REPLACING, ASCII = "collbench_replacing", "collbench_ascii"  # the names under which Python finds them
_PLAIN = str.maketrans({
    "×": "x", "µ": "u", "μ": "u", "÷": "/", "±": "+-", "·": "-", "•": "*", "≈": "~", "≤": "<=", "≥": ">=", "−": "-",
    "…": "...", "–": "-", "—": "-", "─": "-", "│": "|", "→": "->", "←": "<-", "⁹": "^9", "‘": "'", "’": "'", "“": '"',
    "”": '"',
})  # fmt: skip


def repair() -> None:
    """Make the standard streams of this process take everything; for the start of the command line."""
    for number in range(3):
        _open_if_closed(number)
    codecs.register_error(REPLACING, _replace)
    codecs.register(_ascii)
    sys.stdout, sys.stderr = _tolerant(sys.stdout), _tolerant(sys.stderr)


def _open_if_closed(number: int) -> None:
    """Open a closed descriptor, or the next file would get its number, and with it what libraries print."""
    try:
        os.fstat(number)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one


def _tolerant(stream: TextIO | None) -> TextIO:
    """The stream, which replaces what its encoding does not have; where there is none, one that leads nowhere."""
    if stream is None:  # closed when Python started
        return open(os.devnull, "w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        is_ascii = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding=ASCII if is_ascii else None, errors=REPLACING)
    return stream


def _replace(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: what comes closest in ASCII, else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(each if each.isascii() else "?" for each in text), error.end


def _ascii(name: str) -> codecs.CodecInfo | None:
    """ASCII by another name: click replaces streams that it finds to be ASCII by UTF-8."""
    if name != ASCII:
        return None
    real = codecs.lookup("ascii")
    parts = (real.streamreader, real.streamwriter, real.incrementalencoder, real.incrementaldecoder)
    return codecs.CodecInfo(real.encode, real.decode, *parts, name=ASCII)


def can_redraw(stream: TextIO) -> bool:
    """Whether a line on ``stream`` can be drawn again: on a terminal, other than a dumb one."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
