"""The progress of a sweep on standard error: a bar on a terminal, elsewhere a line per finished case."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from collbench.errors import UsageError
from collbench.host.terminal import can_redraw
from collbench.plan.rms_norm import rows_words
from collbench.plan.sizes import format_size
from collbench.plan.skew import skew_words
from collbench.results.files import Tail
from collbench.results.records import Record
from collbench.tables import counted, show_us

WIDTH = 24  # of the bar, in characters


def case_words(record: Record) -> str:
    """The case of a row in words."""
    what = (record.backend, record.collective, rows_words(record.hidden), record.dtype, format_size(record.bytes),
            skew_words(record.skew))  # fmt: skip
    return f"{' '.join(filter(None, what))} on {counted(record.ranks, 'rank')}"


def _result(record: Record) -> str:
    if record.latency_us_median is not None:
        return f"{show_us(record.latency_us_median)} µs"
    return f"{record.status}: {record.reason}".splitlines()[0]


@dataclass
class Progress:
    """Reports finished cases to ``stream``: a bar with the time left where it is a terminal, else lines; nothing if
    ``quiet``. The bar uses no escape sequences, so an interrupt leaves the terminal as it was."""

    quiet: bool
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    shown: int = 0

    def step(self, record: Record, total: int) -> None:
        """Report one finished case of ``total`` in this run."""
        self.done += 1
        if self.quiet:
            return
        if can_redraw(self.stream):
            self._draw(f"{self._bar(total)}  {case_words(record)}")
        else:
            print(f"[{self.done}/{total}] {case_words(record)}: {_result(record)}", file=self.stream, flush=True)

    def say(self, words: str) -> None:
        """Print a line of its own, unless ``quiet``."""
        if not self.quiet:
            self.end()
            print(f"collbench: {words}", file=self.stream, flush=True)

    def end(self) -> None:
        """Remove the bar."""
        if self.shown:
            self._draw("")
            self.stream.write("\r")
            self.stream.flush()

    def _bar(self, total: int) -> str:
        full = WIDTH * self.done // max(total, 1)
        left = (time.monotonic() - self.began) / self.done * max(0, total - self.done)
        return f"[{'#' * full}{'.' * (WIDTH - full)}] {self.done}/{total}, {clock(left)} left"

    def _draw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self.stream.write(f"\r{text[:width].ljust(min(self.shown, width))}")
        self.stream.flush()
        self.shown = len(text)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes: ``1:05``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60}:{whole % 60:02}"


class Followed:
    """Reports the rows that other processes append to a results file. ``missing`` returns how many it still lacks."""

    def __init__(self, path: Path, progress: Progress, missing: Callable[[Sequence[Record]], int]) -> None:
        self._tail, self._progress, self._missing = Tail(path), progress, missing
        self._rows = self._tail.new()
        self._total = missing(self._rows)

    def look(self) -> None:
        """Report the rows since the last look; nothing where the file cannot be read, which its writer reports."""
        with suppress(UsageError):
            for record in self._tail.new():
                self._rows.append(record)
                if self._progress.done >= self._total:  # the rows so far may ask for more of them
                    self._total = self._progress.done + 1 + self._missing(self._rows)
                self._progress.step(record, self._total)
