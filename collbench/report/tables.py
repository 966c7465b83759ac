"""Tables, notes and pages of commands as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collbench.printer.lines import ITEM, lines_of, one_line
from collbench.report.markup import Html, joined, spaced, tag
from collbench.tables import Note, Page, Table

WRAPPED = 80  # characters at least of a line that the next one goes on with


def page_html(page: Page) -> Html:
    """Tables with their notes, then the notes of the page; without its result."""
    return joined([*map(table_html, page.tables), notes_html(page.notes)])


def table_html(table: Table) -> Html:
    """The table in a region that scrolls sideways by itself, its title as caption, its notes below it."""
    heads = (tag("th", column.head, scope="col") if column.head else tag("td") for column in table.columns)
    title = one_line(table.title)
    caption = [tag("caption", title)] if title else []
    sides = " ".join(f"n{place}" for place, column in enumerate(table.columns, start=1) if column.right)
    grid = tag("table", *caption, tag("thead", tag("tr", *heads)), tag("tbody", *map(_row, table.rows)), class_=sides)
    region = tag("div", grid, class_="scroll", tabindex="0", role="group", aria_label=title or "table")
    return joined([region, notes_html(table.notes)])


def _row(cells: Sequence[str]) -> Html:
    """A row; its first cell is its heading."""
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in others))


def numbers_style(most: int = 64) -> str:
    """The style of columns of numbers, for up to so many columns: a class on each cell would make a large page larger
    by a fifth."""
    columns = ",".join(f".n{place} :is(th,td):nth-child({place})" for place in range(1, most + 1))
    return f"{columns}{{text-align:right}}"


def notes_html(notes: Iterable[Note]) -> Html:
    """Every note as a paragraph, its items as a list."""
    return joined(part for note in notes for part in _note(lines_of(note)))


def _note(lines: Sequence[str]) -> list[Html]:
    said = spaced(_ended(line) for line in lines if not line.startswith(ITEM))
    items = [tag("li", line.removeprefix(ITEM)) for line in lines if line.startswith(ITEM)]
    return [*([tag("p", said, class_="note")] if said else []), *([tag("ul", *items, class_="note")] if items else [])]


def _ended(line: str) -> Html:
    """A line of a paragraph, with a break where what it says ends: it is shorter than those that were wrapped, or ends
    as a sentence does."""
    ends = len(line) < WRAPPED or line.endswith((".", ":", ")"))
    return joined([line, *([tag("br")] if ends else [])])
