"""Tables in GitHub's Markdown; text of any origin stays text, and never becomes markup."""

from __future__ import annotations

import re
from collections.abc import Sequence

from collbench.printer.lines import ITEM, lines_of, one_line
from collbench.tables import Note, Page, Table

_INLINE = re.compile(r"[\\`*<>\[\]~$&|]|(?<![^\W_])_|_(?![^\W_])")  # _ inside a word is no markup
_BLOCK = re.compile(r"^(?:(?=[-+=#])|(\d+)(?=[.)](?:\s|$)))")  # what makes a line a heading, a list or a rule


def markdown_page(page: Page) -> str:
    """Titles in bold, tables and their notes, then the notes of the page, an empty line between them; all folded below
    the result, if there is one."""
    body = "\n\n".join([*map(markdown_table, page.tables), *markdown_notes(page.notes)])
    return f"**{escaped(page.result)}**\n\n{folded('Details', body)}" if page.result else body


def folded(name: str, text: str) -> str:
    """``text``, which GitHub shows when ``name`` is clicked."""
    return f"<details><summary>{name}</summary>\n\n{text}\n\n</details>"


def markdown_table(table: Table) -> str:
    """The table with its title and its notes."""
    title = [f"**{escaped(table.title)}**"] if table.title else []
    return "\n\n".join([*title, _grid(table), *markdown_notes(table.notes)])


def markdown_notes(notes: Sequence[Note]) -> list[str]:
    """Each note as a paragraph, which keeps its lines."""
    return list(filter(None, map(_paragraph, notes)))


def escaped(text: str) -> str:
    """``text`` in one line, with a backslash before whatever Markdown would take for markup."""
    return _INLINE.sub(r"\\\g<0>", one_line(text))


def _grid(table: Table) -> str:
    head, *body = ([escaped(cell) for cell in row] for row in table.cells)
    sides = ["---:" if column.right else "---" for column in table.columns]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, sides, *body))


def _paragraph(note: Note) -> str:
    lines = lines_of(note)
    ends = ["" if following.startswith(ITEM) else "\\" for following in lines[1:]]
    return "\n".join(_note_line(line) + end for line, end in zip(lines, [*ends, ""], strict=False))


def _note_line(line: str) -> str:
    item = ITEM if line.startswith(ITEM) else ""
    return item + _BLOCK.sub(r"\1\\", escaped(line.removeprefix(item)))
