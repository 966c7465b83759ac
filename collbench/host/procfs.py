"""Text of files under /proc and /sys; what cannot be read is empty."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path("/")


def text(path: Path) -> str:
    """The stripped text of a file, "" where it cannot be read; bytes that are not UTF-8 survive, as in a path."""
    try:
        return os.fsdecode(path.read_bytes()).strip()
    except OSError:
        return ""


def number(path: Path, pattern: str = r"(\d+)$") -> int | None:
    """The number in the group of ``pattern``, which begins a line (default: all of it); None where there is none."""
    found = re.search(f"(?m)^{pattern}", text(path))
    return int(found[1]) if found else None


def unescape(name: str) -> str:
    r"""A path as the kernel means it: it writes white space and backslashes in octal, such as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), name)
