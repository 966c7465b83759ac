"""The cases of a check: the same problem on both sides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from collbench.check.decision import Series
from collbench.check.history import Runs, Sides
from collbench.check.rule import FIRST_LOOK
from collbench.results.cases import CaseResult, cases
from collbench.results.panels import panel_of
from collbench.results.records import Record

TIMER_STEP_US = 0.032  # of CUDA events on Hopper; the clocks of CPU ranks have shorter steps
Key = tuple[object, ...]


@dataclass(frozen=True)
class Trial:
    """One problem on both sides, each over its launches: a list of results by run, [] where a side has no rows."""

    base: tuple[CaseResult, ...]
    candidate: tuple[CaseResult, ...]

    @property
    def record(self) -> Record:
        """A row, for the columns that all share."""
        return (*self.base, *self.candidate)[0].record

    @property
    def rows(self) -> list[Record]:
        """The rows of both sides."""
        return [row for case in (*self.base, *self.candidate) for row in case.rows]

    @property
    def ill(self) -> str:
        """What is wrong with it, as ``candidate wrong: why``; "" if every launch ran well or was skipped."""
        sides = (("base", self.base), ("candidate", self.candidate))
        found = [(name, case) for name, side in sides for case in side if case.status != "ok"]
        return "; ".join(f"{name} {case.status}{f': {case.reason}' if case.reason else ''}" for name, case in found)

    @property
    def lacks_a_side(self) -> bool:
        """Whether a side has rows, but no latency."""
        return any(side and not any(case.timed for case in side) for side in (self.base, self.candidate))

    @property
    def step_us(self) -> float:
        """The step of the timer in microseconds of one call, from the launches before the first look alone: a margin
        that later launches moved could turn a verdict."""
        rows = (row for row in self.rows if row.launch < FIRST_LOOK and row.latency_us_median is not None)
        calls = [int(row.param.get("calls", 1)) for row in rows]
        return TIMER_STEP_US / median(calls) if calls else 0.0

    def series(self) -> Series:
        """Both sides launch by launch, for sides that share their launches."""
        base, candidate = _by_launch(self.base), _by_launch(self.candidate)
        launches = range(max((row.launch for row in self.rows), default=-1) + 1)
        return Series(
            [base.get(launch, math.nan) for launch in launches],
            [candidate.get(launch, math.nan) for launch in launches],
            self.step_us,
        )

    def sides(self) -> Sides:
        """Both sides run by run, for sides that ran at different times."""
        return Sides(_by_run(self.base), _by_run(self.candidate), self.step_us)


def _by_launch(side: Iterable[CaseResult]) -> dict[int, float]:
    return {row.launch: us for case in side for row in case.timed if (us := row.latency_us_median) is not None}


def _by_run(side: Sequence[CaseResult]) -> Runs:
    return [[us for row in case.timed if (us := row.latency_us_median) is not None] for case in side] or [[]]


def trials_within(records: Iterable[Record], base: str, candidate: str) -> tuple[Trial, ...]:
    """Every problem that one of two backends has rows of, in one file."""
    found = cases(records)
    sides = [
        {case.record.identity[:-1]: case for case in found if case.record.backend == name} for name in (base, candidate)
    ]
    return _matched([sides[0]], [sides[1]])


def trials_between(
    base: Sequence[Sequence[Record]], candidate: Sequence[Sequence[Record]], names: tuple[str, str] | None
) -> tuple[Trial, ...]:
    """Every case that a run of either side has rows of; with ``names``, of these backends, base and candidate."""
    base_name, name = names or ("", "")
    return _matched([_keyed(run, base_name) for run in base], [_keyed(run, name) for run in candidate])


def _keyed(records: Sequence[Record], backend: str) -> dict[Key, CaseResult]:
    """The cases by problem and backend, or those of one backend by problem."""
    found = [case for case in cases(records) if not backend or case.record.backend == backend]
    return {case.record.identity[:-1] if backend else case.record.identity: case for case in found}


def _matched(
    base: Sequence[Mapping[Key, CaseResult]], candidate: Sequence[Mapping[Key, CaseResult]]
) -> tuple[Trial, ...]:
    keys = dict.fromkeys(key for run in (*base, *candidate) for key in run)
    trials = (Trial(tuple(_of(key, base)), tuple(_of(key, candidate))) for key in keys)
    return tuple(sorted(trials, key=_order))


def _of(key: Key, runs: Iterable[Mapping[Key, CaseResult]]) -> Iterable[CaseResult]:
    return (run[key] for run in runs if key in run)


def _order(trial: Trial) -> tuple[str, int]:
    """A sort key: table by table, then by size in bytes."""
    return str((trial.record.backend, panel_of(trial.record))), trial.record.bytes
