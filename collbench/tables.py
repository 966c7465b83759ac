"""Tables as values, without a form: titles, columns, rows and notes; latencies, factors and counts as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Note = tuple[str, ...]  # the lines of one paragraph; a line that begins with "- " is an item of a list


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether its cells are aligned to the right, as numbers are."""

    head: str
    right: bool = False


@dataclass(frozen=True)
class Table:
    """One table: a title, which may be "", columns, rows of as many cells, and notes that stand below this table."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[Note, ...] = ()

    @property
    def cells(self) -> list[list[str]]:
        """The headings, then the rows."""
        return [[column.head for column in self.columns], *map(list, self.rows)]


@dataclass(frozen=True)
class Page:
    """What a command prints: tables, notes that stand below all of them, and the ``result`` in one line, if any."""

    tables: tuple[Table, ...] = ()
    notes: tuple[Note, ...] = ()
    result: str = ""

    def __bool__(self) -> bool:
        """Whether there is anything to print."""
        return bool(self.tables or self.notes or self.result)


def words(*heads: str) -> tuple[Column, ...]:
    """Columns of words, aligned to the left."""
    return tuple(map(Column, heads))


def numbers(*heads: str) -> tuple[Column, ...]:
    """Columns of numbers, aligned to the right."""
    return tuple(Column(head, right=True) for head in heads)


def table_of(title: str, columns: Iterable[Column], rows: Iterable[Sequence[str]], *notes: Sequence[str]) -> Table:
    """A table of any rows; ``notes`` without a line are dropped. Raises ValueError for a row of another length."""
    heads, cells = tuple(columns), tuple(map(tuple, rows))
    if any(len(row) != len(heads) for row in cells):
        raise ValueError(f"every row of the table {title!r} needs {len(heads)} cells")
    return Table(title, heads, cells, notes_of(*notes))


def notes_of(*notes: Sequence[str]) -> tuple[Note, ...]:
    """Notes, without those that have no line."""
    return tuple(tuple(lines) for lines in notes if lines)


def show_us(value: float) -> str:
    """Microseconds with four significant digits and no exponent."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{4 - len(str(int(value)))}f}" if value >= 1 else f"{value:.3f}"


def counted(number: float, noun: str) -> str:
    """A number, with one decimal place unless it is whole, and its noun: ``1 row``, ``1.5 cores``."""
    return f"{number:.1f}".removesuffix(".0") + (f" {noun}" if number == 1 else f" {noun}s")


def show_factor(value: float) -> str:
    """A factor of at least 1 with three significant digits below 10, and whole above."""
    return f"{value:.2f}" if value < 9.995 else f"{value:,.0f}"
