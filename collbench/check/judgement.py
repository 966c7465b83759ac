"""The judgement of a check: a verdict for each case, what forbids one, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from collbench.check.decision import Finding, decide
from collbench.check.exits import exit_of
from collbench.check.history import judge_runs
from collbench.check.rule import FEWEST, Rule, Verdict
from collbench.check.trials import Trial
from collbench.errors import Exit, UsageError
from collbench.results.mismatch import mismatches
from collbench.results.records import THROTTLED, Record
from collbench.tables import counted

FINAL = ("timeout", "wrong")  # statuses of a row after which no verdict matters


@dataclass(frozen=True)
class Judged:
    """One case and what was found of it; it is missing where a row was wrong or timed out, whatever its latencies, and
    where a side failed or was skipped so far, however few the launches."""

    trial: Trial
    finding: Finding

    @classmethod
    def of(cls, trial: Trial, finding: Finding) -> Judged:
        """The case, with what is wrong with a side as the reason for a missing verdict."""
        final = any(row.status in FINAL for row in trial.rows)
        if trial.ill and (final or trial.lacks_a_side or finding.verdict is Verdict.MISSING):
            return cls(trial, replace(finding, verdict=Verdict.MISSING, reason=trial.ill))
        return cls(trial, finding)

    @property
    def record(self) -> Record:
        """A row, for the columns that all share."""
        return self.trial.record


@dataclass(frozen=True)
class Judgement:
    """All cases of a check with their findings.

    ``refusals`` say why the rows cannot be compared at all; ``next_look`` is the number of launches at which an
    undecided case is looked at again, None if the check is over; ``rule`` is None for runs at different times.
    """

    base: str
    candidate: str
    cases: tuple[Judged, ...]
    margin: float
    refusals: tuple[str, ...]
    next_look: int | None
    rule: Rule | None

    @property
    def statuses(self) -> set[str]:
        """The statuses of all rows."""
        return {row.status for each in self.cases for row in each.trial.rows}

    @property
    def counts(self) -> Counter[Verdict]:
        """How many cases have each verdict."""
        return Counter(each.finding.verdict for each in self.cases)

    @property
    def undecided(self) -> tuple[Judged, ...]:
        """The cases that are measured on; () if the check is over."""
        return (
            ()
            if self.next_look is None
            else tuple(each for each in self.cases if each.finding.verdict is Verdict.UNCLEAR)
        )

    @property
    def code(self) -> Exit:
        """The exit code."""
        return exit_of([each.finding.verdict for each in self.cases], self.statuses, self.refusals)


def judge_launches(trials: Sequence[Trial], names: tuple[str, str], rule: Rule) -> Judgement:
    """The judgement of launches in which base and candidate (``names``) ran together, so far; at least one trial."""
    decision = decide([trial.series() for trial in trials], rule)
    found = tuple(map(Judged.of, trials, decision.findings))
    hopeless = any(row.status in FINAL for trial in trials for row in trial.rows)
    goes_on = not hopeless and any(each.finding.verdict is Verdict.UNCLEAR for each in found)
    next_look = decision.next_look if goes_on else None
    return Judgement(*names, found, rule.margin, refusals_of(trials), next_look, rule)


def judge_files(trials: Sequence[Trial], names: tuple[str, str], margin: float, refusals: Sequence[str]) -> Judgement:
    """The judgement of runs at different times; at least one trial. Raises UsageError if no size has FEWEST
    replicates a side, and no bad row is the reason.

    ``refusals`` are those that the rows themselves do not show."""
    findings = judge_runs([trial.sides() for trial in trials], margin)
    if max(each.launches for each in findings) < FEWEST and not any(trial.ill for trial in trials):
        several = any(len(side) > 1 for trial in trials for side in (trial.base, trial.candidate))
        what = "runs" if several else "launches"
        raise UsageError(f"a verdict needs at least {FEWEST} {what} of a size on either side, and no size has them.")
    all_refusals = (*refusals, *refusals_of(trials))
    return Judgement(*names, tuple(map(Judged.of, trials, findings)), margin, all_refusals, None, None)


def refusals_of(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Why the rows of these trials do not compare the two sides: they used different networks, or clocks were
    throttled."""
    throttled = [row for trial in trials for row in trial.rows if THROTTLED in row.reason]
    slow = [f"{throttled[0].reason} ({counted(len(throttled), 'row')}); let the machine cool down"] if throttled else []
    return (*mismatches(trial.rows for trial in trials), *slow)
