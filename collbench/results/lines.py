"""The lines of a CSV file that people and spreadsheets may have touched, and the values of its cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

Value = str | int | float | bool | None
LARGEST_EXACT = 1 << 53  # above, a float does not hold every whole number


@dataclass(frozen=True)
class Line:
    """A row and the number of its first line in the file, from 1."""

    number: int
    cells: tuple[str, ...]


def lines_of(text: str) -> list[Line]:
    """The rows of a CSV file that have a cell with text; a byte-order mark is dropped. Raises csv.Error."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    found, begin = [], 1
    for cells in reader:
        if any(map(str.strip, cells)):
            found.append(Line(begin, tuple(cells)))
        begin = reader.line_num + 1
    return found


def other_separator(header: Sequence[str], column: str) -> str:
    """The plural name of what separates cells where it is no comma, for a header that holds ``column``; else ""."""
    if len(header) != 1:
        return ""
    names = {";": "semicolons", "\t": "tabs"}
    return next((name for sign, name in names.items() if column in header[0].split(sign)), "")


def _whole(text: str) -> int:
    """``20`` and ``20.0``, which pandas writes for a whole number in a column with empty cells."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer() or abs(number) > LARGEST_EXACT:
        raise ValueError(text)
    return int(number)


def value_of(text: str, kind: type, may_be_empty: bool) -> Value:
    """The value of a cell of a column of ``kind`` (str, int, float or bool).

    Raises ValueError, in words, for text that has no certain meaning.
    """
    if kind is str:
        return text
    if may_be_empty and not text.strip():
        return None
    words = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.strip().lower()]
        if "_" in text:  # Python's own way to group digits
            raise ValueError(text)
        return _whole(text) if kind is int else float(text)
    except (KeyError, ValueError, OverflowError):
        raise ValueError(f"{text!r} is not {words}") from None
