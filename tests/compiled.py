"""What compiled kernels need, noted by tests and shown when a session ends."""

from __future__ import annotations

from collbench.kernels.cubin import Resources
from collbench.tables import aligned

# Kernel, type, layout and what else it was compiled for; what that takes, by architecture.
Needs = dict[tuple[str, str, str, str], dict[str, Resources]]
noted: Needs = {}


def note_compiled(row: tuple[str, str, str, str], arch: str, needs: Resources) -> None:
    """Have the session end with a table that says what a compiled kernel needs."""
    noted.setdefault(row, {})[arch] = needs


def table(compiled: Needs) -> str:
    """A row for each kernel, type and layout, a column for each architecture."""
    archs = sorted({arch for found in compiled.values() for arch in found}, key=lambda arch: int(arch[3:]))
    lines = [["kernel", "type", "layout", "in particular", *archs]]
    lines += [[*row, *(_cell(found.get(arch)) for arch in archs)] for row, found in sorted(compiled.items())]
    return aligned(lines)


def _cell(needs: Resources | None) -> str:
    return f"{needs.registers}/{needs.local_bytes}/{needs.shared_bytes}" if needs else ""
