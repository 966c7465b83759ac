"""Text of any origin in lines."""

from __future__ import annotations

from collbench.tables import Note

ITEM = "- "  # begins an item of a list in a note


def one_line(text: str) -> str:
    """``text`` in one line: a space for all white space and for what cannot be printed, such as escape sequences."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """``text`` with a space for every character that cannot be printed, except for line breaks."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def lines_of(note: Note) -> list[str]:
    """The lines of a note, each in one line however it was wrapped, without empty ones."""
    return list(filter(None, map(one_line, note)))
