"""The next launch of a sweep: its number, its leg and its cases, from the rows that the file has; pure but for the
backends' refusals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from collbench import registry
from collbench.measure.goal import Goal, Identity, Wanted
from collbench.plan.layout import Layout
from collbench.plan.problem import Case, case_identity
from collbench.plan.sweep import Plan, Sweep, make_plan, problems
from collbench.results.records import Record

Group = Sequence[Case]  # all cases of one problem


@dataclass(frozen=True)
class Finished:
    """The launches that have a row of each case, by ``case_identity``."""

    launches: dict[Identity, set[int]]

    @property
    def last(self) -> int:
        """The highest number of a launch, -1 without rows."""
        return max((number for numbers in self.launches.values() for number in numbers), default=-1)

    def of(self, case: Case) -> set[int]:
        """The launches that have a row of ``case``."""
        return self.launches.get(case_identity(case), set())

    def whole(self, group: Group) -> set[int]:
        """The launches that have a row of each case of a problem."""
        return set.intersection(*map(self.of, group))


def finished(records: Iterable[Record]) -> Finished:
    """What the rows of a file hold."""
    found: dict[Identity, set[int]] = {}
    for record in records:
        found.setdefault(record.identity, set()).add(record.launch)
    return Finished(found)


def missing_rows(sweep: Sweep, layouts: tuple[Layout, ...], records: Sequence[Record], goal: Goal) -> int:
    """The number of rows that the sweep lacks to reach its goal, as far as the rows so far show, if the launches that
    were begun are continued."""
    have, wanted = finished(records), goal.wanted(records)
    return sum(_missing(group, have, _asked(group, wanted)) for group in _groups(sweep, layouts))


def _missing(group: Group, have: Finished, launches: int) -> int:
    """The rows that a problem lacks until ``launches`` launches have one of each case."""
    numbers = [have.of(case) for case in group]
    begun, whole = set[int]().union(*numbers), have.whole(group)
    lacks = sorted(sum(number not in of_case for of_case in numbers) for number in begun - whole)
    left = max(0, launches - len(whole))
    return sum(lacks[:left]) + max(0, left - len(lacks)) * len(group)


def next_leg(
    sweep: Sweep, layouts: tuple[Layout, ...], records: Sequence[Record], goal: Goal, given_up: Collection[str] = ()
) -> str | None:
    """The leg that the next ranks time: of the last launch the first that lacks a row, else that which begins another
    launch; None where no row is missing, but those of legs that are ``given_up``."""
    groups = [[case for case in group if case.leg not in given_up] for group in _groups(sweep, layouts)]
    last = finished(records).last
    for number in (last, last + 1) if records else (0,):
        legs = {case.leg for case in _todo(groups, records, goal, number)}
        if legs:
            return next(leg for leg in sweep.legs(number) if leg in legs)
    return None


def is_whole(sweep: Sweep, layouts: tuple[Layout, ...], records: Sequence[Record], goal: Goal) -> bool:
    """Whether the last launch lacks no row of any leg."""
    return not _todo(_groups(sweep, layouts), records, goal, finished(records).last)


def next_launch(
    sweep: Sweep,
    layouts: tuple[Layout, ...],
    records: Sequence[Record],
    like_now: Collection[int],
    goal: Goal,
    leg: str = "",
) -> tuple[int, Plan] | None:
    """The number of the next launch and the plan of one of its legs; None where the leg lacks no row.

    ``like_now`` are the numbers of launches under the present conditions on the present hosts: of these the first in
    which the leg lacks a case is continued. Otherwise a new launch begins, in which a problem that lacks some of its
    cases is timed with all of them: backends are compared within a launch.
    """
    groups = _groups(sweep, layouts)
    for number in (*sorted(like_now), finished(records).last + 1):
        if todo := {case for case in _todo(groups, records, goal, number) if case.leg == leg}:
            return number, make_plan(sweep, layouts, number, registry.refusals(), lambda case: case not in todo)
    return None


def _groups(sweep: Sweep, layouts: tuple[Layout, ...]) -> list[Group]:
    """The cases of each problem."""
    groups = (sweep.cases_on(problem) for problem in problems(sweep, layouts))
    return [group for group in groups if group]


def _todo(groups: Iterable[Group], records: Sequence[Record], goal: Goal, number: int) -> list[Case]:
    """The cases that launch ``number`` lacks and that the rows of all other launches ask for.

    So a launch is finished as it was begun, whatever its own rows would say.
    """
    have = finished(records)
    lacking = [group for group in groups if any(number not in have.of(case) for case in group)]
    if not lacking:
        return []
    wanted = goal.wanted([record for record in records if record.launch != number])
    unfinished = (group for group in lacking if len(have.whole(group) - {number}) < _asked(group, wanted))
    return [case for group in unfinished for case in group if number not in have.of(case)]


def _asked(group: Group, wanted: Wanted) -> int:
    """The launches that a problem is to have with a row of each of its cases."""
    return max(wanted(case_identity(case)) for case in group)
