"""What is written for readers of the repository: README.md and those of its folders."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
PATHS = (
    "README.md", "results/README.md", "kernels/README.md", "kernels/machine/emulator.md", "jobs/README.md",
)  # fmt: skip
TEXTS = {path: (ROOT / path).read_text(encoding="utf-8") for path in PATHS}
LINES = [line for text in TEXTS.values() for line in text.splitlines()]
PROSE = " ".join(" ".join(LINES).split())  # lines may break anywhere


def line_that_begins(start: str) -> str:
    """The only line that begins so."""
    (line,) = [line for line in LINES if line.startswith(start)]
    return line
