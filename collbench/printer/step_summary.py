"""The summary of a step of GitHub Actions: a file, shown with the run, to which every command may append Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from collbench.printer.markdown import escaped, folded, markdown_notes, markdown_table
from collbench.tables import Note, Page, Table

VARIABLE = "GITHUB_STEP_SUMMARY"  # names the file
LIMIT = 1 << 20  # bytes of a summary; GitHub shows nothing of a larger one
LONG = 6  # lines of notes; more are folded
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK  # a pipe that nobody reads must not stop the command


def append_summary(path: Path, subject: str, page: Page) -> str:
    """Append ``page`` below a heading that says what it is about; returns "", or why that cannot be done."""
    text = f"{summary_text(subject, page)}\n\n".encode()
    try:
        with open(os.open(path, _APPEND, 0o666), "ab") as file:
            if os.fstat(file.fileno()).st_size + len(text) > LIMIT:
                return f"it would be larger than {LIMIT >> 10} KiB, of which GitHub shows nothing"
            file.write(text)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def summary_text(subject: str, page: Page) -> str:
    """A heading, the tables, and notes, those that are long folded."""
    parts = [f"## {escaped(subject)}", *map(_table, page.tables), _folded(page.notes)]
    return "\n\n".join(filter(None, parts))


def _table(table: Table) -> str:
    return "\n\n".join(filter(None, [markdown_table(replace(table, notes=())), _folded(table.notes)]))


def _folded(notes: Sequence[Note]) -> str:
    text = "\n\n".join(markdown_notes(notes))
    return folded("Notes", text) if sum(map(len, notes)) > LONG else text
