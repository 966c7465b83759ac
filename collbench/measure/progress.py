"""The progress bar: on rank 0, on a terminal, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import click

from collbench.plan.sizes import format_size
from collbench.results.records import Record

Step = Callable[[Record, int], None]


class _Terminal:
    """stderr as a terminal: mpiexec puts a pipe between it and its ranks, but the user's end is one."""

    def __init__(self) -> None:
        self.write, self.flush = sys.stderr.write, sys.stderr.flush

    def isatty(self) -> bool:
        """It is, or nobody would have asked for a bar."""
        return True


def _label(record: Record | None) -> str | None:
    return f"{record.backend} {record.collective} {format_size(record.bytes)}, {record.ranks} ranks" if record else None


@contextmanager
def progress(wanted: bool) -> Iterator[Step]:
    """A function to call with every row and the number of rows to come in all; draws nothing unless ``wanted``."""
    with ExitStack() as stack:
        bars: list[Any] = []

        def step(record: Record, total: int) -> None:
            if wanted and not bars:  # the first row tells how long the bar is
                terminal: Any = _Terminal()
                bar = click.progressbar([record], length=total, file=terminal, item_show_func=_label)
                bars.append(stack.enter_context(bar))
            for bar in bars:
                bar.update(1, record)

        yield step
