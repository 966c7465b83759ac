"""Following the jobs of a submission: what has become of each, as a table that lives on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import click

from collbench.errors import UsageError
from collbench.slurm import client
from collbench.slurm.client import Seen
from collbench.slurm.submission import Part, Submission
from collbench.tables import aligned

NOT_SUBMITTED, FORGOTTEN = "NOT SUBMITTED", "ENDED"
PAUSES = (2.0, 30.0)  # seconds between looks: first, and at the most; a queue is not asked more often than it must be


@dataclass(frozen=True)
class Look:
    """A part at one time: its newest job as Slurm tells it, and the rows it has."""

    part: Part
    number: str
    seen: Seen
    rows: int


def look(submission: Submission, refusals: Mapping[str, str], before: Sequence[Look] = ()) -> list[Look]:
    """What has become of every part. ``refusals``: by part, why Slurm did not take its job. ``before``: the look before
    this one, since Slurm forgets jobs some minutes after their end. Raises SilentError."""
    remembered = {each.number: each.seen for each in before}
    numbers = {part.name: submission.last_id(part) for part in submission.parts()}
    known = client.look([number for number in numbers.values() if number]) if client.here() else {}
    looks = []
    for part in submission.parts():
        number = numbers[part.name]
        if part.name in refusals or not number:
            seen = Seen(NOT_SUBMITTED, why=refusals.get(part.name, ""))
        else:
            seen = known.get(number) or _forgotten(part, remembered.get(number))
        looks.append(Look(part, number, seen, _rows(part, seen)))
    return looks


def _rows(part: Part, seen: Seen) -> int:
    """Rows so far. Where the file system shows another node's file half, a job that runs has none yet."""
    try:
        return len(part.records())
    except UsageError:
        if seen.live:
            return 0
        raise


def _forgotten(part: Part, last: Seen | None) -> Seen:
    if last and not last.live:
        return last
    return replace(last or Seen(""), state="COMPLETED" if part.complete() else FORGOTTEN, why="")


def table(looks: Sequence[Look]) -> str:
    """One line a part."""
    lines = [["nodes", "allocation", "job", "state", "time", "rows", "where, or why not"]]
    for each in looks:
        told = (each.seen.nodes or each.seen.why) if each.seen.live else (each.seen.why or each.seen.nodes)
        lines.append([
            str(each.part.job.nodes), str(each.part.index), each.number or "-", each.seen.state.lower(),
            each.seen.elapsed, str(each.rows), told,
        ])  # fmt: skip
    return aligned(lines)


@dataclass
class Screen:
    """stderr: a table that is drawn over its last one on a terminal; elsewhere, a line for each change of a state."""

    live: bool = field(default_factory=sys.stderr.isatty)
    height: int = 0
    states: dict[str, str] = field(default_factory=dict)

    def show(self, looks: Sequence[Look]) -> None:
        """Show how things stand."""
        size = shutil.get_terminal_size()
        text = "\n".join(line[: size.columns - 1] for line in table(looks).splitlines())  # a line that wraps is two
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
                click.echo(" ".join(filter(None, [*words, why, f"{each.rows} rows"])), err=True)

    def say(self, words: str) -> None:
        """A line of its own, above the next table."""
        self.height = 0
        click.echo(words, err=True)


@dataclass
class Pace:
    """How long to wait between looks: longer and longer, from the beginning again when something happened."""

    pause: float = PAUSES[0]
    last: tuple[str, ...] = ()

    def wait(self, looks: Sequence[Look]) -> None:
        """Wait."""
        states = tuple(each.seen.state for each in looks)
        self.pause = PAUSES[0] if states != self.last else min(self.pause * 1.5, PAUSES[1])
        self.last = states
        time.sleep(self.pause)
