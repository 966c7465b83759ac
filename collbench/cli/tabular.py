"""CSV files that commands of ``llm`` write."""

from __future__ import annotations

from pathlib import Path

from collbench.errors import UsageError
from collbench.results.writing import replace_text, writing


def write_table(path: Path, text: str, command: str) -> None:
    """Write a CSV file. Raises UsageError where a file would be replaced that ``command`` did not write, and as
    `writing` does."""
    with writing(path):
        head = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0] if path.exists() else None
    if head is not None and head != text.partition("\n")[0]:
        raise UsageError(f"{path} exists and was not written by collbench {command}; give another path.")
    replace_text(path, text)
