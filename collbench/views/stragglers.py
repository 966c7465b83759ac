"""The rank or host that is the slowest in many cases, launch after launch, in a sentence.

Cases of one launch share what makes a rank slow by chance, such as the core on which it runs: a launch is one
replicate. It votes for the rank that was the slowest far more often than chance in its rows; the votes are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.layout import VIRTUAL
from collbench.results.records import Record
from collbench.results.statistics import beats_chance
from collbench.results.verdicts import FEWEST_LAUNCHES
from collbench.tables import show_factor

FEWEST_CASES = 5  # in a launch that votes
LEAST_RATIO = 1.02  # of its time to that of the others; below, it is of no consequence
RATHER_A_RANK = 4 / 3  # as many rows: a rank is named rather than its host if it explains three quarters of them
Name = tuple[object, ...]  # (rank, host) or (host,)


@dataclass(frozen=True)
class Question:
    """Which of ``kinds`` ranks or hosts of one world is the slowest, by the rows of each launch. ``name`` is the answer
    of a row that has one."""

    launches: Sequence[Sequence[Record]]
    kinds: int
    name: Callable[[Record], Name]

    def answer(self, together: int) -> Name | None:
        """The name for which more launches voted than chance allows, with so many questions asked ``together``."""
        votes = Counter(found for rows in self.launches if (found := self._most(rows)) is not None)
        if not votes or len(self.launches) < FEWEST_LAUNCHES:
            return None
        ((name, count),) = votes.most_common(1)
        return name if beats_chance(count, len(self.launches), self.kinds, together) else None

    def _most(self, rows: Sequence[Record]) -> Name | None:
        """The vote of a launch."""
        counts = Counter(self.name(row) for row in rows if row.slowest_rank is not None)
        if not counts or len(rows) < FEWEST_CASES:
            return None
        ((name, count),) = counts.most_common(1)
        return name if beats_chance(count, len(rows), self.kinds) else None


@dataclass(frozen=True)
class Straggler:
    """An answer to a question."""

    question: Question
    name: Name

    @property
    def rows(self) -> list[Record]:
        """The rows that give this answer."""
        rows = [row for launch in self.question.launches for row in launch if row.slowest_rank is not None]
        return [row for row in rows if self.question.name(row) == self.name]

    @property
    def ratio(self) -> float:
        """The median over the rows of its time to that of the others."""
        return median(row.slowest_ratio or 1.0 for row in self.rows)

    def weight(self) -> float:
        """The number of rows that it explains, more for a rank, which says more than its host."""
        return len(self.rows) * (1.0 if len(self.name) == 1 else RATHER_A_RANK)

    @property
    def sentence(self) -> str:
        """The finding in words."""
        launches, total = len(self.question.launches), sum(map(len, self.question.launches))
        who = f"rank {self.name[0]} on {self.name[1]}" if len(self.name) > 1 else f"a rank on {self.name[0]}"
        chance = f"{total / self.question.kinds:.0f}"
        first = self.question.launches[0][0]
        several = first.nodes > 1 and not first.fabric.endswith(VIRTUAL)
        means = "; sweep --pairs finds a slow host or link" if several else ""
        return (
            f"{who} took longest in {len(self.rows)} of {total} rows of {launches} launches (by chance {chance}), in "
            f"the median {show_factor(self.ratio)}× the time of the others: it is slow, or waits for one that is{means}"
        )


def straggler(records: Iterable[Record]) -> list[str]:
    """A sentence for the rank, else the host, that took longest far more often than chance, in several launches of
    several cases each and by more than 2 %; [] if there is none.

    Binomial for the launches that vote for it, Bonferroni over the ranks or hosts, and over all worlds of the records.
    Collectives with a root do not count: their ranks have different parts.
    """
    worlds = _worlds(row for row in records if _counts(row))
    ranks = [Question(launches, _members(launches[0][0]), lambda row: (row.slowest_rank, row.slowest_host))
             for launches in worlds.values()]  # fmt: skip
    hosts = [Question(launches, launches[0][0].nodes, lambda row: (row.slowest_host,))
             for launches in worlds.values() if _has_equal_hosts(launches[0][0])]  # fmt: skip
    questions = [*ranks, *hosts]
    answers = ((question, question.answer(len(questions))) for question in questions)
    found = [Straggler(question, name) for question, name in answers if name is not None]
    clear = [each for each in found if each.ratio >= LEAST_RATIO]
    return [max(clear, key=Straggler.weight).sentence] if clear else []


def _counts(row: Record) -> bool:
    known = COLLECTIVES.get(row.collective)
    return row.latency_us_median is not None and row.ranks > 1 and known is not None and not known.has_root


def _members(row: Record) -> int:
    """The ranks of a world, of all groups side by side."""
    return row.ranks * (row.groups or 1)


def _has_equal_hosts(row: Record) -> bool:
    """Whether the nodes are several hosts with as many ranks each; on how many hosts groups side by side are is not
    known."""
    several = row.nodes > 1 and row.groups is None
    return several and row.gpus_per_node is not None and not row.fabric.endswith(VIRTUAL)


def _worlds(rows: Iterable[Record]) -> Mapping[tuple[int, ...], list[list[Record]]]:
    """By ranks, nodes, groups and more of a world, the rows of each of its launches."""
    found: dict[tuple[int, ...], dict[tuple[str, int], list[Record]]] = {}
    for row in rows:
        world = (row.ranks, row.nodes, row.groups or 1, row.gpus_per_node or 0, int(row.fabric.endswith(VIRTUAL)))
        found.setdefault(world, {}).setdefault((row.run_id, row.launch), []).append(row)
    return {world: list(launches.values()) for world, launches in found.items()}
