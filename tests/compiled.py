"""What compiled kernels need, noted by tests and shown when a session ends."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from collbench.kernels.cubin import Resources
from collbench.printer.plain import plain_table
from collbench.tables import numbers, table_of, words

# Kernel, type, layout and what else it was compiled for; what that takes, by architecture.
Needs = dict[tuple[str, str, str, str], dict[str, Resources]]
noted: Needs = {}


def note_compiled(row: tuple[str, str, str, str], arch: str, needs: Resources) -> None:
    """Have the session end with a table that says what a compiled kernel needs."""
    noted.setdefault(row, {})[arch] = needs


def as_plain() -> list[Any]:
    """What was noted, of types that travel between processes."""
    return [[list(row), arch, asdict(needs)] for row, found in noted.items() for arch, needs in found.items()]


def note_plain(plain: list[Any]) -> None:
    """Note what ``as_plain`` gave in another process."""
    for (kernel, dtype, layout, more), arch, needs in plain:
        note_compiled((kernel, dtype, layout, more), arch, Resources(**needs))


def table(compiled: Needs) -> str:
    """A row for each kernel, type and layout, a column for each architecture."""
    archs = sorted({arch for found in compiled.values() for arch in found}, key=lambda arch: int(arch[3:]))
    columns = [*words("kernel", "type"), *numbers("layout"), *words("in particular"), *numbers(*archs)]
    rows = [[*row, *(_cell(found.get(arch)) for arch in archs)] for row, found in sorted(compiled.items())]
    return plain_table(table_of("", columns, rows))


def _cell(needs: Resources | None) -> str:
    return f"{needs.registers}/{needs.local_bytes}/{needs.shared_bytes}" if needs else ""
