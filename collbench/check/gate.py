"""The goal of a live check: launches until every case is decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collbench.check.judgement import Judgement, judge_launches
from collbench.check.rule import Rule, Verdict, rule_of
from collbench.check.trials import trials_within
from collbench.errors import Exit
from collbench.plan.sizes import format_size
from collbench.results.records import Record


@dataclass(frozen=True)
class Gate:
    """A candidate against a base, by a rule that is fixed before measuring. Implements ``Goal``."""

    base: str
    candidate: str
    rule: Rule

    @property
    def facts(self) -> Mapping[str, object]:
        """The options that fix the rule and the sides."""
        return {
            "baseline": self.base, "candidate": self.candidate, "margin": self.rule.margin,
            "max_launches": self.rule.looks[-1], "fail_fast": self.rule.fail_fast,
        }  # fmt: skip

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Gate:
        """The gate with these ``facts``. Raises KeyError, TypeError, ValueError or UsageError where they are not those
        of one."""
        rule = rule_of(float(facts["margin"]), int(facts["max_launches"]), bool(facts["fail_fast"]))
        return cls(str(facts["baseline"]), str(facts["candidate"]), rule)

    def judge(self, records: Sequence[Record]) -> Judgement | None:
        """The judgement of the rows so far; None before the first row of a side."""
        trials = trials_within(records, self.base, self.candidate)
        return judge_launches(trials, (self.base, self.candidate), self.rule) if trials else None

    def wanted(self, records: Sequence[Record]) -> Callable[[tuple[object, ...]], int]:
        """Launches up to the next look for cases that are undecided or have no row yet; none for the others."""
        found = self.judge(records)
        until = found.next_look if found else self.rule.looks[0]
        decided = {
            each.record.identity[:-1] for each in found.cases if each.finding.verdict is not Verdict.UNCLEAR
        } if found else set()  # fmt: skip
        return lambda identity: 0 if until is None or identity[:-1] in decided else until

    def code(self, records: Sequence[Record]) -> Exit:
        """That of the judgement; NO_VERDICT without a row."""
        found = self.judge(records)
        return found.code if found else Exit.NO_VERDICT

    def state(self, records: Sequence[Record]) -> str:
        """How many cases have which verdict after the launches so far, and which are measured on."""
        found = self.judge(records)
        if found is None or found.next_look is None:
            return ""
        launches = 1 + max(record.launch for record in records)
        if launches < self.rule.looks[0]:
            return f"{launches} of the {self.rule.looks[0]} launches before the first look"
        known = ", ".join(f"{number} {verdict}" for verdict, number in found.counts.items())
        sizes = ", ".join(format_size(each.record.bytes) for each in found.undecided)
        return f"after {launches} launches {known}; next look at {found.next_look} ({sizes})"
