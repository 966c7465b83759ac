"""Goals of a run: how many launches each case is to have, given the rows so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from collbench.errors import Exit, exit_of
from collbench.results.records import Record

Identity = tuple[object, ...]  # of a case, as in ``Record.identity``
Wanted = Callable[[Identity], int]  # the number of launches that a case is to have


class Goal(Protocol):
    """What decides how many launches each case gets. The rows of an earlier command may be continued towards it only
    if they were measured towards one with equal ``facts``."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What the sidecar says of it, by option; {} where any rows may be continued."""

    def wanted(self, records: Sequence[Record]) -> Wanted:
        """The number of launches for each case, given all rows of the file."""

    def state(self, records: Sequence[Record]) -> str:
        """What the rows say so far, as a line to be printed after a launch; "" where there is nothing to say."""

    def code(self, records: Sequence[Record]) -> Exit:
        """The exit code that the rows stand for."""


@dataclass(frozen=True)
class Fixed:
    """The same number of launches for every case."""

    launches: int

    @property
    def facts(self) -> Mapping[str, object]:
        """{}: more launches may be added to any rows."""
        return {}

    def wanted(self, records: Sequence[Record]) -> Wanted:
        """``launches`` for each case."""
        return lambda identity: self.launches

    def state(self, records: Sequence[Record]) -> str:
        """Nothing."""
        return ""

    def code(self, records: Sequence[Record]) -> Exit:
        """That of the worst row."""
        return exit_of({record.status for record in records})
