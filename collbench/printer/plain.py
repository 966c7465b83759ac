"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from collbench.printer.lines import one_line, printable
from collbench.tables import Note, Page, Table


def plain_page(page: Page) -> str:
    """Tables with their notes, then the notes of the page and its result, an empty line between them."""
    parts = [part for table in page.tables for part in (_titled(table), *map(_paragraph, table.notes))]
    return "\n\n".join([*parts, *map(_paragraph, page.notes), *([one_line(page.result)] if page.result else [])])


def plain_table(table: Table) -> str:
    """The table without title and notes: columns as wide as their widest cell."""
    cells = [list(map(one_line, row)) for row in table.cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [column.right for column in table.columns]
    lines = [_line(row, widths, right) for row in cells]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def _titled(table: Table) -> str:
    return "\n\n".join([*([one_line(table.title)] if table.title else []), plain_table(table)])


def _paragraph(note: Note) -> str:
    return "\n".join(map(printable, note))


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = [
        cell.rjust(width) if side else cell.ljust(width) for cell, width, side in zip(row, widths, right, strict=True)
    ]
    return "  ".join(cells).rstrip()
