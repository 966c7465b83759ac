"""Outcomes of stories: their file, their tables and the exit code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from collbench.errors import Exit, exit_of
from collbench.plan.rms_norm import rows_words
from collbench.results.writing import append_text
from collbench.tables import Page, Table, counted, numbers, table_of, words
from collbench.verify.subjects import Subject


@dataclass(frozen=True)
class Outcome:
    """The result of one story: ``calls`` checked, ``wrong`` elements; ``status``, ``hidden`` as in a results file."""

    layout: str
    ranks: int
    backend: str
    way: str
    collective: str
    dtype: str
    op: str
    story: str
    calls: int
    status: str
    reason: str
    wrong: int
    hidden: int | None = None


def outcome(subject: Subject, story: str, status: str, reason: str = "", calls: int = 0, wrong: int = 0) -> Outcome:
    """The outcome of ``story`` on ``subject``."""
    what = (subject.collective.name, subject.dtype.name, subject.op)
    where = (str(subject.layout), subject.layout.size)
    return Outcome(*where, subject.backend, subject.way, *what, story, calls, status, reason, wrong,
                   subject.hidden or None)  # fmt: skip


def append(path: Path, one: Outcome) -> None:
    """Append an outcome to a file, as a line of JSON. Raises UsageError or OutputError if it cannot be written."""
    append_text(path, json.dumps(asdict(one)) + "\n")


def load(path: Path) -> list[Outcome]:
    """The outcomes in a file that ``append`` wrote, without one that was cut off when its writer was killed."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Outcome(**json.loads(line)) for line in lines if line.endswith("\n")]


def exit_code(found: Iterable[Outcome]) -> Exit:
    """The exit code of the worst outcome."""
    return exit_of({one.status for one in found})


def page(found: Sequence[Outcome]) -> Page:
    """A table for each collective, type, operation and layout, then how many outcomes are of each status."""
    tables = tuple(_table(title, found) for title in dict.fromkeys(map(_title, found)))
    counts = ", ".join(f"{count} {status}" for status, count in Counter(one.status for one in found).items())
    calls = counted(sum(one.calls for one in found), "call")
    return Page(tables, ((f"{counts or 'nothing was run'}; {calls} checked",),))


def plain(found: Iterable[Outcome]) -> list[dict[str, object]]:
    """A dictionary for each outcome, for JSON."""
    return [asdict(one) for one in found]


def _table(title: str, found: Iterable[Outcome]) -> Table:
    columns = [*words("backend", "story"), *numbers("calls"), *words("result")]
    return table_of(title, columns, [_row(one) for one in found if _title(one) == title])


def _title(one: Outcome) -> str:
    kind = (one.collective, rows_words(one.hidden), one.dtype, one.op)
    return " · ".join(filter(None, [*kind, f"{one.ranks} ranks, {one.layout}"]))


def _row(one: Outcome) -> list[str]:
    backend = f"{one.backend} ({one.way})" if one.way else one.backend
    reason = " ".join(one.reason.split())
    return [backend, one.story, str(one.calls or ""), f"{one.status}: {reason}" if reason else one.status]
