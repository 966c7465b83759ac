"""The chart of cases whose ranks arrive late: latency from the first and from the last arrival, against skew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from collbench.results.cases import cases
from collbench.results.records import Record
from collbench.views import lines, numbers
from collbench.views.curves import Curve, Flaw
from collbench.views.groups import Groups, Sides, every
from collbench.views.lines import Lines
from collbench.views.naming import words_of
from collbench.views.numbers import Group, cells_of, of_size, sizes_of
from collbench.views.page import Frame
from collbench.views.scales import Places, skew_places
from collbench.views.skews import FIRST, families, late_rank, late_words, skew_of

STYLES = ("waiting and transfer", "transfer")  # dashed, solid
MOST_SIZES = 4
READING = (
    "Median over launches of each launch's median; band or bar: 5th to 95th percentile of samples from the last "
    "arrival."
)


def groups(runs: Sequence[Iterable[Record]]) -> Groups:
    """The cases of each chart, of one run or of two, by the words for its file name; none without a latency."""
    found: Groups = {}
    for place, records in enumerate(runs):
        for group in families(cases(records)):
            rank = late_rank(group)
            words = (*words_of(replace(group[0].record, skew="")), "" if rank is None else f"rank{rank}")
            found.setdefault(words, tuple([] for _ in runs))[place].extend(group)
    return {words: sides for words, sides in found.items() if cells_of(every(sides))}


def reading(sides: Sides) -> str:
    """How to read the chart of these cases, for its foot."""
    rank = late_rank(every(sides))
    drawn = "a random time up to the skew, drawn for each sample" if rank is None else "the skew"
    waiting = " Waiting and transfer: latency from the first arrival." if len(sides) == 1 else ""
    who = "Each rank" if rank is None else f"Rank {rank}"
    return f"{who} is late by {drawn}.{waiting} Transfer: latency from the last arrival.\n{READING}"


def heading(sides: Sides) -> str:
    """What stands before the title of a chart."""
    words = late_words(every(sides))
    return f"{words[0].upper()}{words[1:]}: "


def chart(frame: Frame, sides: Sides) -> Figure:
    """A panel for each of up to four sizes. Of two runs there is only the latency from the last arrival: the waiting is
    made, not measured."""
    group = every(sides)
    places = skew_places(sorted({skew_of(case).us for case in group}))
    by_size = {size: _lines([of_size(side, size) for side in sides], places) for size in sizes_shown(group)}
    return lines.skew_chart(frame if len(sides) > 1 else replace(frame, runs=STYLES), by_size, places)


def sizes_shown(group: Group) -> list[int]:
    """Of the sizes timed, all if there are few, else the smallest, the largest and two between them."""
    sizes = sizes_of(case for case in group if case.timed)
    last = len(sizes) - 1
    return sizes if last < MOST_SIZES else [sizes[round(last * part / (MOST_SIZES - 1))] for part in range(MOST_SIZES)]


def _lines(sides: Sequence[Group], places: Places) -> Lines:
    curves: list[Curve] = []
    flaws: list[Flaw] = []
    for place, side in enumerate(sides):
        before = len(sides) > 1 and place == 0
        curves += _curves(side, places, before, with_first=len(sides) == 1)
        flaws += [
            Flaw(case.record.backend, places[skew_of(case).us], case.status, before) for case in side if case.is_bad
        ]
    return Lines(curves, flaws)


def _curves(side: Group, places: Places, dashed: bool, with_first: bool) -> list[Curve]:
    """The lines of one run at one size, each over the skews of the run."""
    cells = {(case.record.backend, skew_of(case).nanoseconds): case for case in side if case.timed}
    skews = sorted({skew_of(case).nanoseconds for case in side})
    found = [*(numbers.of_column(cells, skews, FIRST) if with_first else []), *numbers.latencies(cells, skews, dashed)]
    return [replace(curve, x=[places[skew / 1e3] for skew in skews]) for curve in found]
