"""Text tables for a terminal and in Markdown; latencies, factors and counts as text."""

from __future__ import annotations

from collections.abc import Sequence

Table = list[list[str]]


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


def aligned(table: Table) -> str:
    """The table for a terminal: columns as wide as their widest cell, numbers right-aligned."""
    columns = list(zip(*table, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [any(cell[:1].isdigit() for cell in column[1:]) for column in columns]
    lines = [_line(row, widths, right) for row in table]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = [
        cell.rjust(width) if side else cell.ljust(width) for cell, width, side in zip(row, widths, right, strict=True)
    ]
    return "  ".join(cells).rstrip()


def markdown(table: Table) -> str:
    """The table in Markdown, every column right-aligned."""
    head, *body = table
    rows = [head, ["---:"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
