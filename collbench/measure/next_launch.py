"""The next launch of a sweep: its number and its cases, from the rows that the file has; pure but for the backends'
refusals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from collbench import registry
from collbench.measure.goal import Goal, Identity
from collbench.plan.layout import Layout
from collbench.plan.problem import Case, case_identity
from collbench.plan.sweep import Plan, Sweep, make_plan
from collbench.results.records import Record


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


def finished(records: Iterable[Record]) -> Finished:
    """What the rows of a file hold."""
    found: dict[Identity, set[int]] = {}
    for record in records:
        found.setdefault(record.identity, set()).add(record.launch)
    return Finished(found)


def missing_rows(sweep: Sweep, layouts: tuple[Layout, ...], records: Sequence[Record], goal: Goal) -> int:
    """The number of rows that the sweep still lacks to reach its goal, as far as the rows so far tell."""
    have, wanted = finished(records), goal.wanted(records)
    cases = _cases(make_plan(sweep, layouts, 0))
    return sum(max(0, wanted(case_identity(case)) - len(have.of(case))) for case in cases)


def next_launch(
    sweep: Sweep, layouts: tuple[Layout, ...], records: Sequence[Record], like_now: Collection[int], goal: Goal
) -> tuple[int, Plan] | None:
    """The number of the next launch and its plan; None where every case has a row in as many launches as its goal asks.

    ``like_now`` are the numbers of launches under the present conditions on the present hosts: of these the first that
    lacks a case is continued. Otherwise a new launch begins, in which a problem that lacks some of its backends is
    timed with all of them: backends are compared within a launch.
    """
    have, asked = finished(records), goal.wanted(records)
    everything = make_plan(sweep, layouts, 0)
    wanted = {case for case in _cases(everything) if len(have.of(case)) < asked(case_identity(case))}
    if not wanted:
        return None
    for number in sorted(like_now):
        if todo := {case for case in wanted if number not in have.of(case)}:
            return number, _plan(sweep, layouts, number, todo)
    groups = (set(group) for group in everything.groups)
    whole = wanted.union(*(group for group in groups if group & wanted))
    return have.last + 1, _plan(sweep, layouts, have.last + 1, whole)


def _cases(plan: Plan) -> list[Case]:
    return [*(case for group in plan.groups for case in group), *(skip.case for skip in plan.skips)]


def _plan(sweep: Sweep, layouts: tuple[Layout, ...], number: int, todo: Collection[Case]) -> Plan:
    return make_plan(sweep, layouts, number, registry.refusals(), lambda case: case not in todo)
