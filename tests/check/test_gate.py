"""The goal of a live check: which cases get how many launches, and what the rows say."""

from __future__ import annotations

import pytest
from gates import GATE, SIZES, launches
from samples import timed, untimed

from collbench.check.gate import Gate
from collbench.check.judgement import judge_files
from collbench.check.rule import rule_of
from collbench.check.trials import trials_between
from collbench.errors import Exit, UsageError
from collbench.results.records import Record


def asked(records: list[Record], gate: Gate = GATE) -> list[int]:
    """How many launches each size is to have."""
    wanted = gate.wanted(records)
    return [wanted(timed(1, backend="new", bytes=size).identity) for size in SIZES]


def test_every_case_gets_the_launches_before_the_first_look() -> None:
    assert asked([]) == asked(launches(1)) == asked(launches(4)) == [5, 5, 5]
    assert GATE.code(launches(4)) is Exit.NO_VERDICT
    assert GATE.state(launches(4)) == "4 of the 5 launches before the first look"


def test_decided_sizes_are_not_measured_on() -> None:
    some = launches(5, (1.0, 1.02, 1.05))
    assert asked(some) == [0, 7, 0]
    assert GATE.state(some) == "after 5 launches 1 same, 1 unclear, 1 slower; next look at 7 (8 KiB)"
    assert GATE.code(some) is Exit.REGRESSION


def test_all_the_same_is_over_at_the_first_look() -> None:
    assert asked(launches(5)) == [0, 0, 0]
    assert GATE.code(launches(5)) is Exit.FINE


def test_fail_fast_ends_at_the_first_slower_size() -> None:
    gate = Gate("old", "new", rule_of(fail_fast=True))
    assert asked(launches(5, (1.0, 1.02, 1.05)), gate) == [0, 0, 0]


def test_the_cap_ends_it() -> None:
    gate = Gate("old", "new", rule_of(cap=5))
    assert asked(launches(5, (1.0, 1.02, 1.0)), gate) == [0, 0, 0]
    assert gate.code(launches(5, (1.0, 1.02, 1.0))) is Exit.NO_VERDICT


@pytest.mark.parametrize(("status", "code"), [("wrong", Exit.WRONG), ("timeout", Exit.TIMEOUT)])
def test_a_wrong_or_hung_row_ends_it_at_once(status: str, code: Exit) -> None:
    rows = [*launches(1)[:-1], untimed(status, launch=0, backend="new", bytes=SIZES[-1])]
    assert asked(rows) == [0, 0, 0]
    assert GATE.code(rows) is code


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_a_size_that_a_side_cannot_run_is_not_measured_on(status: str) -> None:
    rows = launches(1)
    some = [*rows[:-1], untimed(status, "no GPU", launch=0, backend="new", bytes=SIZES[-1])]
    assert asked(some) == [5, 5, 0]
    none = [row if row.backend == "old" else untimed(status, launch=0, backend="new", bytes=row.bytes) for row in rows]
    assert asked(none) == [0, 0, 0]
    assert GATE.code(none) is Exit.NO_VERDICT
    assert GATE.state(none) == ""


@pytest.mark.parametrize(
    ("status", "code"), [("wrong", Exit.WRONG), ("timeout", Exit.TIMEOUT), ("failed", Exit.NO_VERDICT)]
)
def test_files_without_a_good_row_have_the_code_of_their_rows(status: str, code: Exit) -> None:
    base = [row for row in launches(5) if row.backend == "old"]
    bad = [untimed(status, launch=row.launch, backend="old", bytes=row.bytes) for row in base]
    found = judge_files(trials_between([base], [bad], None), ("a", "b"), 0.04, ())
    assert found.code is code
    assert found.cases[0].finding.reason == f"candidate {status}"


@pytest.mark.parametrize(("runs", "what"), [(1, "launches"), (2, "runs")])
def test_files_with_too_few_replicates_are_refused(runs: int, what: str) -> None:
    side = [[row for row in launches(2) if row.backend == "old"]] * runs
    with pytest.raises(UsageError, match=f"at least 3 {what} of a size on either side"):
        judge_files(trials_between(side, side, None), ("a", "b"), 0.04, ())


def test_throttled_clocks_refuse_a_verdict() -> None:
    rows = launches(5)
    rows[3] = timed(10, launch=0, backend="new", bytes=8192, reason="clocks throttled: power cap")
    assert GATE.code(rows) is Exit.USAGE


def test_different_networks_refuse_a_verdict() -> None:
    rows = [
        timed(
            10 + launch / 100, launch=launch, backend=name, nodes=2, fabric="tcp", params=f"cache=hot;transport={way}"
        )
        for launch in range(5)
        for name, way in (("old", "ib"), ("new", "socket"))
    ]
    assert GATE.code(rows) is Exit.USAGE


def test_the_facts_name_what_must_not_change() -> None:
    facts = {"baseline": "old", "candidate": "new", "margin": 0.02, "max_launches": 20, "fail_fast": False}
    assert GATE.facts == facts


def test_files_are_never_the_same_with_a_run_a_side() -> None:
    base = [row for row in launches(5) if row.backend == "old"]
    found = judge_files(trials_between([base], [base], None), ("a", "b"), 0.04, ())
    assert [str(each.finding.verdict) for each in found.cases] == ["unclear"] * 3
    assert found.code is Exit.NO_VERDICT
    assert judge_files(trials_between([base], [base], None), ("a", "b"), 0.04, ("another GPU",)).code is Exit.USAGE
