"""The progress bar, on stderr of rank 0, where that is a terminal."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import click

from collbench.plan.sizes import format_size
from collbench.results.records import Record


class _Terminal:
    """stderr, presented as a terminal: the ranks write to a pipe of mpiexec, which forwards to the terminal."""

    def __init__(self) -> None:
        self.write, self.flush = sys.stderr.write, sys.stderr.flush

    def isatty(self) -> bool:
        """True: a bar is drawn only where the user has a terminal."""
        return True


def _label(record: Record | None) -> str | None:
    return f"{record.backend} {record.collective} {format_size(record.bytes)}, {record.ranks} ranks" if record else None


class Progress:
    """A progress bar with one step per row; draws nothing unless ``wanted``."""

    def __init__(self, wanted: bool) -> None:
        self._wanted, self._stack = wanted, ExitStack()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def step(self, record: Record, total: int) -> None:
        """Advance the bar by one row of ``total``."""
        if not self._wanted:
            return
        if self._bar is None:  # the length is known with the first row
            terminal: Any = _Terminal()
            bar = click.progressbar([record], length=total, file=terminal, item_show_func=_label)
            self._bar = self._stack.enter_context(bar)
        self._bar.update(1, record)
