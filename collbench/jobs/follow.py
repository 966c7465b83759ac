"""Monitoring of a submission: the state of each of its jobs, as a table that is redrawn on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import click

from collbench.batch.system import Seen
from collbench.errors import UsageError
from collbench.host.terminal import can_redraw
from collbench.jobs.submission import Part, Submission, sequence
from collbench.printer.plain import plain_table
from collbench.tables import numbers, table_of, words

NOT_SUBMITTED, FORGOTTEN = "NOT SUBMITTED", "ENDED"
PAUSES = (2.0, 30.0)  # seconds between queries, first and longest: sites limit how often squeue may run


@dataclass(frozen=True)
class Look:
    """The state of a part at one time: its newest job as its system reports it, and the number of its finished rows."""

    part: Part
    number: str
    seen: Seen
    rows: int


def look(submission: Submission, refusals: Mapping[str, str], before: Sequence[Look] = ()) -> list[Look]:
    """The state of every part. ``refusals``: by part, why its job was refused. ``before``: the previous result, since
    systems purge jobs some time after they end. Raises SilentError."""
    remembered = {each.number: each.seen for each in before}
    numbers = {part.name: submission.last_id(part) for part in submission.parts()}
    system = submission.system
    here = system.is_available()
    known = system.look([number for number in numbers.values() if number]) if here else {}
    unseen = system.UNSEEN if here else Seen(FORGOTTEN)
    looks = []
    for part in submission.parts():
        number = numbers[part.name]
        if part.name in refusals or not number:
            seen = Seen(NOT_SUBMITTED, why=refusals.get(part.name, ""))
        else:
            seen = known.get(number) or _purged(part, number, remembered.get(number), unseen)
        looks.append(Look(part, number, seen, _rows(part, seen)))
    return looks


def _rows(part: Part, seen: Seen) -> int:
    """The number of finished rows; 0 while a shared file system shows the file of a running job incompletely."""
    try:
        return len(part.records())
    except UsageError:
        if seen.live:
            return 0
        raise


def _purged(part: Part, number: str, last: Seen | None, unseen: Seen) -> Seen:
    """The state of a job that its system no longer knows, from its last known state and its files; ``unseen`` is the
    state of one that never began."""
    if last and not last.live:
        return last
    began = (last and last.nodes) or sequence(number) in map(sequence, part.ran())
    now = Seen("COMPLETED") if part.complete() else Seen(FORGOTTEN) if began else unseen
    return replace(last or now, state=now.state, why=now.why)


def table(looks: Sequence[Look]) -> str:
    """One line per part."""
    columns = [*numbers("nodes", "allocation", "job"), *words("state"), *numbers("time", "rows"),
               *words("nodes or reason")]  # fmt: skip
    lines = []
    for each in looks:
        detail = (each.seen.nodes or each.seen.why) if each.seen.live else (each.seen.why or each.seen.nodes)
        lines.append([
            str(each.part.job.nodes), str(each.part.index), each.number.split(".")[0] or "-", each.seen.state.lower(),
            each.seen.elapsed, str(each.rows), detail,
        ])  # fmt: skip
    return plain_table(table_of("", columns, lines))


@dataclass
class Screen:
    """Progress on stderr: on a terminal a table that is redrawn in place, otherwise a line for each change of state."""

    live: bool = field(default_factory=lambda: can_redraw(sys.stderr))
    height: int = 0
    states: dict[str, str] = field(default_factory=dict)

    def show(self, looks: Sequence[Look]) -> None:
        """Show the current state of all parts."""
        size = shutil.get_terminal_size()
        text = "\n".join(line[: size.columns - 1] for line in table(looks).splitlines())  # no line may wrap
        if self.live and len(looks) + 3 < size.lines:
            back = f"\x1b[{self.height}F\x1b[J" if self.height else ""
            self.height = len(text.splitlines())
            click.echo(back + text, err=True, color=True)
            return
        for each in looks:
            if self.states.get(each.part.name) != each.seen.state:
                self.states[each.part.name] = each.seen.state
                words = [f"{each.part.name}:", f"job {each.number}" if each.number else "", each.seen.state.lower()]
                why = f"({each.seen.why})" if each.seen.why else ""
                click.echo(" ".join(filter(None, [*words, why, f"{each.rows} row{'s' * (each.rows != 1)}"])), err=True)

    def say(self, words: str) -> None:
        """Print a message above the next table."""
        self.height = 0
        click.echo(words, err=True)


@dataclass
class Pace:
    """The pause between queries, in seconds: it grows while nothing changes, and starts anew after a change."""

    pause: float = PAUSES[0]
    last: tuple[str, ...] = ()

    def wait(self, looks: Sequence[Look]) -> None:
        """Sleep until the next query is due; ``looks`` is the result of the last one."""
        states = tuple(each.seen.state for each in looks)
        self.pause = PAUSES[0] if states != self.last else min(self.pause * 1.5, PAUSES[1])
        self.last = states
        time.sleep(self.pause)
