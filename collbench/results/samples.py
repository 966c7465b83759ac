"""The lines of a samples file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from collbench.errors import UsageError


@dataclass(frozen=True)
class SampleLine:
    """A sample (microseconds) of the row with this number, from 0, and its line in the file."""

    row: int
    latency_us: float
    text: str


def sample_lines(path: Path) -> Iterator[SampleLine]:
    """The samples of a file, without a truncated last line. Raises UsageError for a file that cannot be read and for a
    line that is no sample."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as samples: {error}.") from None
    for number, text in enumerate(lines[1:], start=2):
        if text.endswith("\n"):
            yield _sample(text, f"{path}, line {number}")


def _sample(text: str, place: str) -> SampleLine:
    try:
        row, _, value = text.split(",")
        found = SampleLine(int(row), float(value), text)
        if found.row >= 0 and 0 <= found.latency_us < math.inf:
            return found
    except ValueError:
        pass
    raise UsageError(f"{place}: {text.strip()!r} is not a sample; remove the line.")
