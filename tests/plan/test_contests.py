"""Contests: who is timed on what."""

from __future__ import annotations

from samples import a_layout, a_sweep

from collbench.plan.sweep import Contest, contest_of, contests_text, make_plan, parse_contests, problems

WORLD = (a_layout(4),)


def test_only_backends_of_a_contest_are_planned_and_none_is_skipped() -> None:
    sizes = (1024, 4096, 8192)
    small, large, _ = problems(a_sweep(sizes=sizes), WORLD)
    contests = (contest_of(small, ("a:x=1", "b")), contest_of(large, ("b", "c")))
    plan = make_plan(a_sweep(sizes=sizes, contests=contests), WORLD, 0)
    assert {(case.problem.size, case.backend) for group in plan.groups for case in group} == {
        (1024, "a:x=1"), (1024, "b"), (4096, "b"), (4096, "c"),
    }  # fmt: skip
    assert plan.skips == ()


def test_contests_are_read_as_they_were_written() -> None:
    contests = (Contest("2x2 virtual", "all_reduce", "bfloat16", "sum", 4096, ("a:x=1", "b")),)
    assert parse_contests(contests_text(contests)) == contests
