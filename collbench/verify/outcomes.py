"""What became of stories: outcomes, their table, their exit code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from collbench.errors import Exit, exit_of
from collbench.tables import aligned
from collbench.verify.subjects import Subject


def append(path: Path, one: Outcome) -> None:
    """Add a line of JSON, at once."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(one)) + "\n")


def exit_code(found: Iterable[Outcome]) -> Exit:
    """The worst of what became of them."""
    return exit_of({one.status for one in found})


def report(found: Sequence[Outcome], as_json: bool) -> None:
    """All outcomes on stdout: a table for each layout, collective, type and operation, or JSON."""
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    for title in dict.fromkeys(map(_title, found)):
        rows = [_row(one) for one in found if _title(one) == title]
        click.echo(f"{title}\n\n{aligned([['backend', 'story', 'calls', 'result'], *rows])}\n")
    told = ", ".join(f"{count} {status}" for status, count in Counter(one.status for one in found).items())
    click.echo(f"{told or 'nothing was told'}; {sum(one.calls for one in found)} calls checked")


def _title(one: Outcome) -> str:
    return " · ".join(filter(None, [one.collective, one.dtype, one.op, f"{one.ranks} ranks, {one.layout}"]))


def _row(one: Outcome) -> list[str]:
    backend = f"{one.backend} ({one.way})" if one.way else one.backend
    reason = " ".join(one.reason.split())
    return [backend, one.story, str(one.calls or ""), f"{one.status}: {reason}" if reason else one.status]


@dataclass(frozen=True)
class Outcome:
    """What became of one story: ``calls`` whose answers were checked, ``wrong`` elements, ``status`` as in a record."""

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
    """What became of ``story``, told of ``subject``."""
    what = (subject.collective.name, subject.dtype.name, subject.op)
    where = (str(subject.layout), subject.layout.size)
    return Outcome(*where, subject.backend, subject.way, *what, story, calls, status, reason, wrong)
