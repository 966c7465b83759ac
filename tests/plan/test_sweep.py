"""Which cases a sweep makes, what is skipped and why, and in which order the rest runs."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from itertools import chain, product

import pytest
from samples import a_layout, a_problem, a_sweep

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.layout import pairs_of
from collbench.plan.problem import Case, Problem, case_identity
from collbench.plan.sweep import Plan, Sweep, contest_of, contests_text, leave_out, make_plan, parse_contests

WORLDS = (a_layout(2), a_layout(4), a_layout(4, nodes=2, virtual=True))
WIDE = a_sweep(
    collectives=("all_reduce", "reduce_scatter", "all_gather"),
    backends=("mpi", "mpi-nvrar", "nccl"),
    sizes=(1024, 4096),
    dtypes=("float32", "bfloat16"),
    ops=("sum", "max"),
    modes=("isolated", "chain"),
    caches=("hot", "cold"),
    in_place=(False, True),
)


def planned(plan: Plan) -> list[Case]:
    """Every case that runs, in its order."""
    return list(chain.from_iterable(plan.groups))


def facts(case: Case) -> tuple[object, ...]:
    """Everything that distinguishes one case from another."""
    problem = case.problem
    return (
        problem.layout, problem.collective.name, problem.dtype.name, problem.op, problem.size,
        problem.mode, problem.cache, problem.in_place, case.backend,
    )  # fmt: skip


def every_combination(sweep: Sweep) -> set[tuple[object, ...]]:
    """What ``facts`` of all cases must be."""
    ops = {"all_reduce": sweep.ops, "reduce_scatter": sweep.ops, "all_gather": ("",)}
    rest = (sweep.sizes, sweep.modes, sweep.caches, sweep.in_place, sweep.backends)
    return {
        combination
        for name in sweep.collectives
        for combination in product(WORLDS, (name,), sweep.dtypes, ops[name], *rest)
    }


def test_rows_of_every_length_are_planned_once_in_whole_rows() -> None:
    sweep = a_sweep(
        collectives=("all_reduce", "all_reduce_rms_norm"),
        dtypes=("bfloat16",),
        sizes=(100, 4096, 5000),
        hidden=(64, 2048),
    )
    plan = make_plan(sweep, WORLDS[:1], 0)
    assert sorted((each.problem.hidden, each.problem.bytes) for each in planned(plan)) == [
        (0, 100), (0, 4096), (0, 5000), (64, 4096), (64, 4992), (2048, 4096),
    ]  # fmt: skip
    assert sorted(skip.reason for skip in plan.skips) == [
        "100 B is too small for one row of 2048 bfloat16", "100 B is too small for one row of 64 bfloat16",
    ]  # fmt: skip
    usual = make_plan(a_sweep(collectives=("all_reduce_rms_norm",), dtypes=("bfloat16",), sizes=(8192,)), WORLDS[:1], 0)
    assert [case.problem.hidden for case in planned(usual)] == [4096]


def test_every_skew_is_planned_once() -> None:
    plan = make_plan(a_sweep(sizes=(4096,), skews=("0", "20us", "20us:1", "20us:9")), WORLDS[:1], 0)
    assert sorted(str(case.problem.skew) for case in planned(plan)) == ["0", "20us", "20us:1"]
    assert [str(skip.case.problem.skew) for skip in plan.skips] == ["20us:9"]
    assert {case.problem.skew for case in planned(make_plan(a_sweep(), WORLDS[:1], 0))} == {None}


def test_contests_on_rows_of_another_length_are_others() -> None:
    of_rows = [replace(a_problem("all_reduce_rms_norm", "bfloat16"), hidden=hidden) for hidden in (64, 128)]
    sweep = a_sweep(contests=parse_contests(contests_text([contest_of(of_rows[0], ("mpi", "nvrar"))])))
    assert [sweep.backends_on(problem) for problem in of_rows] == [("mpi", "nvrar"), ()]


def test_every_combination_is_planned_once_and_operations_only_where_something_is_reduced() -> None:
    counts = Counter(map(facts, planned(make_plan(WIDE, WORLDS, 0))))
    assert counts.keys() == every_combination(WIDE)
    assert set(counts.values()) == {1}


def test_a_group_is_one_problem_on_every_backend() -> None:
    plan = make_plan(WIDE, WORLDS, 0)
    assert all(len({case.problem for case in group}) == 1 for group in plan.groups)
    assert all({case.backend for case in group} == set(WIDE.backends) for group in plan.groups)


def test_worlds_keep_their_order_and_are_opened_once() -> None:
    plan = make_plan(WIDE, WORLDS, 0)
    layouts = [group[0].problem.layout for group in plan.groups]
    assert [layout for i, layout in enumerate(layouts) if layout != layouts[i - 1]] == list(WORLDS)
    assert plan.layouts == WORLDS


def test_the_order_follows_from_seed_and_launch() -> None:
    assert make_plan(WIDE, WORLDS, 1) == make_plan(WIDE, WORLDS, 1)
    orders = {make_plan(a_sweep(sizes=tuple(range(64, 96, 4)), seed=seed), WORLDS, launch).groups
              for seed in (1, 2, 11) for launch in (0, 1, 2, 11)}  # fmt: skip
    assert len(orders) == 12


def test_another_launch_has_the_same_cases() -> None:
    assert set(planned(make_plan(WIDE, WORLDS, 0))) == set(planned(make_plan(WIDE, WORLDS, 1)))


def test_backends_take_turns_at_going_first() -> None:
    first = Counter(group[0].backend for group in make_plan(WIDE, WORLDS, 0).groups)
    assert min(first[name] for name in WIDE.backends) > len(make_plan(WIDE, WORLDS, 0).groups) / 6


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (a_problem(ranks=1), "a collective needs at least 2 ranks"),
        (a_problem(size=3), "3 B is too small for one float32"),
        (a_problem("all_gather", ranks=8, size=31), "31 B is too small for one float32 per rank"),
        (a_problem("gather", in_place=True), "gather has no in-place form"),
        (a_problem("send_recv", in_place=True), "send_recv has no in-place form"),
        (a_problem("all_to_all", in_place=True), "all_to_all has no in-place form"),
        (a_problem("all_to_all", ranks=8, size=31), "31 B is too small for one float32 per rank"),
        (a_problem("send", ranks=4), "send is between two ranks; this world has 4: use --ranks 2"),
        (a_problem("send", ranks=1), "a collective needs at least 2 ranks"),
        (a_problem("send", ranks=2), None),
        (a_problem(dtype="int32", op="avg"), "avg is not defined for int32"),
        (a_problem(size=4), None),
        (a_problem("all_gather", ranks=8, size=32, in_place=True), None),
        (a_problem(dtype="int32", op="max"), None),
        (a_problem(dtype="bfloat16", op="avg"), None),
    ],
)
def test_what_no_backend_can_run(problem: Problem, reason: str | None) -> None:
    assert problem.refusal() == reason


def test_what_cannot_run_is_skipped_with_its_reason_on_every_backend() -> None:
    plan = make_plan(a_sweep(backends=("mpi", "nccl"), sizes=(2, 4096)), (a_layout(2),), 0)
    assert [(skip.case.backend, skip.case.problem.size, skip.reason) for skip in plan.skips] == [
        ("mpi", 2, "2 B is too small for one float32"),
        ("nccl", 2, "2 B is too small for one float32"),
    ]
    assert {case.problem.size for case in planned(plan)} == {4096}


def test_a_backend_that_refuses_is_skipped_and_the_others_run() -> None:
    sweep = a_sweep(backends=("mpi", "nccl"))
    plan = make_plan(sweep, (a_layout(2),), 0, lambda problem, name: "no GPU" if name == "nccl" else None)
    assert [case.backend for case in planned(plan)] == ["mpi"]
    assert [(skip.case.backend, skip.reason) for skip in plan.skips] == [("nccl", "no GPU")]


def test_done_cases_are_left_out_whether_they_ran_or_were_skipped() -> None:
    sweep = a_sweep(backends=("mpi", "nccl"), sizes=(2, 64, 128))
    whole = make_plan(sweep, (a_layout(2),), 0)
    left = make_plan(sweep, (a_layout(2),), 0, done=lambda case: case.backend == "mpi" or case.problem.size == 64)
    assert {(case.backend, case.problem.size) for case in planned(left)} == {("nccl", 128)}
    assert [(skip.case.backend, skip.case.problem.size) for skip in left.skips] == [("nccl", 2)]
    assert make_plan(sweep, (a_layout(2),), 0, done=lambda case: True) == Plan((), ())
    assert len(planned(whole)) == 4


def test_cases_left_out_later_become_skips() -> None:
    plan = make_plan(a_sweep(backends=("mpi", "nccl"), sizes=(2, 64)), (a_layout(2),), 0)
    left = leave_out(plan, lambda case: "shared" if case.backend == "nccl" else None)
    assert [case.backend for case in planned(left)] == ["mpi"]
    assert [skip.reason for skip in left.skips] == [
        "2 B is too small for one float32",
        "2 B is too small for one float32",
        "shared",
    ]
    assert leave_out(plan, lambda case: "all").groups == ()


def test_a_plan_travels_between_ranks() -> None:
    plan = make_plan(a_sweep(collectives=tuple(COLLECTIVES), sizes=(2, 4096)), WORLDS, 0)
    there = pickle.loads(pickle.dumps(plan))
    assert there == plan
    assert {hash(case) for case in planned(there)} == {hash(case) for case in planned(plan)}
    assert all(case.problem.collective is COLLECTIVES[case.problem.collective.name] for case in planned(there))


def test_sizes_that_round_to_one_message_are_one_case() -> None:
    plan = make_plan(a_sweep(sizes=(4096, 4097, 4098)), (a_layout(2),), 0)
    assert Counter(map(case_identity, planned(plan))).most_common(1)[0][1] == 1


def test_pairs_of_hosts_run_one_by_one_in_an_order_of_the_launch() -> None:
    worlds = pairs_of([f"n{index}" for index in range(6)])
    orders = [make_plan(a_sweep(sizes=(4096, 8192)), worlds, launch).layouts for launch in (0, 0, 1)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in (*orders, worlds)}) == 3
    assert all(set(order) == set(worlds) for order in orders)
    groups = make_plan(a_sweep(sizes=(4096, 8192)), worlds, 0).groups
    pairs = [group[0].problem.layout.pair for group in groups]
    assert pairs == [pair for pair in dict.fromkeys(pairs) for _ in range(2)], "each world is opened once"
