"""Outcomes of stories: their file, their table and the exit code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from collbench.errors import Exit, exit_of
from collbench.results.writing import append_text
from collbench.tables import aligned, counted
from collbench.verify.subjects import Subject


@dataclass(frozen=True)
class Outcome:
    """The result of one story: ``calls`` checked, ``wrong`` elements, ``status`` as in a results file."""

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


def outcome(subject: Subject, story: str, status: str, reason: str = "", calls: int = 0, wrong: int = 0) -> Outcome:
    """The outcome of ``story`` on ``subject``."""
    what = (subject.collective.name, subject.dtype.name, subject.op)
    where = (str(subject.layout), subject.layout.size)
    return Outcome(*where, subject.backend, subject.way, *what, story, calls, status, reason, wrong)


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


def show(found: Sequence[Outcome], as_json: bool) -> str:
    """A table for each collective, type, operation and layout, or a JSON list."""
    if as_json:
        return json.dumps([asdict(one) for one in found], indent=1, allow_nan=False)
    parts = []
    for title in dict.fromkeys(map(_title, found)):
        rows = [_row(one) for one in found if _title(one) == title]
        parts.append(f"{title}\n\n{aligned([['backend', 'story', 'calls', 'result'], *rows])}\n")
    counts = ", ".join(f"{count} {status}" for status, count in Counter(one.status for one in found).items())
    calls = counted(sum(one.calls for one in found), "call")
    return "\n".join([*parts, f"{counts or 'nothing was run'}; {calls} checked"])


def _title(one: Outcome) -> str:
    return " · ".join(filter(None, [one.collective, one.dtype, one.op, f"{one.ranks} ranks, {one.layout}"]))


def _row(one: Outcome) -> list[str]:
    backend = f"{one.backend} ({one.way})" if one.way else one.backend
    reason = " ".join(one.reason.split())
    return [backend, one.story, str(one.calls or ""), f"{one.status}: {reason}" if reason else one.status]
