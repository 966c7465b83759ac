"""What a case over its launches is worth: one rule, and every table, ratio, chart and choice keeps it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from samples import a_problem, a_record, timed, untimed

from collbench.cli.main import cli
from collbench.results.cases import CaseResult, cases
from collbench.results.pairs import Fastest, fastest, pairs, ratio_between, ratio_within
from collbench.results.panels import panels
from collbench.results.records import JOB, Record, dump
from collbench.tune.finals import finalists, verdicts
from collbench.views.comparison import compare_backends, compare_files
from collbench.views.figures import charts
from collbench.views.palette import KNOWN
from collbench.views.runs import Run
from collbench.views.summary import latency_table

BAD = ["wrong", "failed", "timeout"]


def launched(*statuses: str, **changes: object) -> list[Record]:
    """One case, launch by launch; those that ran well take 10, 20, ... µs."""
    return [
        timed(10.0 * (launch + 1), launch=launch, **changes)
        if status == "ok"
        else untimed(status, f"reason {launch}", launch=launch, **changes)
        for launch, status in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("statuses", "status", "reason", "us"),
    [
        (("ok", "ok", "ok"), "ok", "", 20.0),
        (("skipped", "ok", "ok"), "ok", "", 25.0),
        (("skipped", "skipped"), "skipped", "reason 0", None),
        (("ok", "failed", "ok"), "failed", "reason 1", None),
        (("skipped", "failed"), "failed", "reason 1", None),
        (("failed", "wrong", "ok"), "wrong", "reason 1", None),
        (("wrong", "timeout", "failed"), "timeout", "reason 1", None),
        (("failed", "failed"), "failed", "reason 0", None),
        (("ok", "of a later version"), "of a later version", "reason 1", None),
    ],
)
def test_the_gravest_launch_decides(statuses: tuple[str, ...], status: str, reason: str, us: float | None) -> None:
    (case,) = cases(launched(*statuses))
    assert (case.status, case.reason, case.median()) == (status, reason, us)
    assert bool(case.timed) == (us is not None)


def test_the_order_of_rows_changes_nothing() -> None:
    rows = launched("ok", "failed", "ok", "wrong")
    assert cases(rows) == cases(rows[::-1])


def test_a_wrong_row_that_has_a_latency_all_the_same_has_none() -> None:
    (case,) = cases([timed(5.0), timed(5.0, launch=1, status="wrong")])
    assert (case.timed, case.median(), case.median("busbw_gb_s")) == ((), None, None)


def test_rows_of_jobs_are_no_cases() -> None:
    assert cases([a_record(backend=JOB, status="failed")]) == []


def test_launches_that_ran_together_are_pairs() -> None:
    mine = cases(launched("ok", "skipped", "ok", backend="nvrar"))[0]
    theirs = cases(launched("skipped", "ok", "ok", "ok", backend="nccl"))[0]
    assert [(one.launch, other.launch) for one, other in pairs(mine, theirs)] == [(2, 2)]


def test_the_same_launch_of_another_run_did_not_run_together() -> None:
    mine = [timed(1.0, run_id="x", launch=0), timed(2.0, run_id="y", launch=0)]
    theirs = [timed(3.0, run_id="y", launch=0, backend="nccl"), timed(4.0, run_id="z", launch=0, backend="nccl")]
    found = pairs(*cases([*mine, *theirs]))
    assert [(one.latency_us_median, other.latency_us_median) for one, other in found] == [(2.0, 3.0)]


def test_sides_that_share_no_launch_are_judged_as_two_runs_are() -> None:
    mine = cases([timed(1.0, launch=launch) for launch in (4, 2, 9)])[0]
    theirs = cases([timed(5.0, launch=launch) for launch in (1, 0, 3, 5)])[0]
    assert pairs(mine, theirs) == []
    found = ratio_within(mine, theirs, 1)
    assert found == ratio_between(mine, theirs, 1)
    assert (round(found.value, 6), found.launches, found.paired, found.verdict) == (0.2, 3, False, "faster")


def test_nothing_is_paired_with_a_case_that_went_wrong() -> None:
    assert pairs(*cases([*launched("ok", "ok"), *launched("ok", "failed", backend="nccl")])) == []


def three_of(name: str, *us: float, **changes: object) -> list[Record]:
    """One case, launch by launch."""
    return [timed(each, backend=name, launch=launch, **changes) for launch, each in enumerate(us)]


def test_of_several_cases_the_fastest_is_named_with_those_that_may_be_as_fast() -> None:
    near = three_of("near", 10.0, 10.4, 10.1)
    field = [*three_of("slow", 30.0, 30.1, 30.2), *near, *three_of("first", 10.0, 10.1, 10.0)]
    found = fastest(cases([*field, untimed("failed", backend="broken")]))[4096]
    assert (found.best.record.backend, [case.record.backend for case in found.ties]) == ("first", ["near"])
    assert found.lead == pytest.approx((1.04 / 1.01 * 1.01) ** (1 / 3))
    assert {ratio.together for ratio in found.ratios} == {3}
    (alone,) = cases([timed(1.0)])
    assert fastest([alone]) == {4096: Fastest(alone)}
    assert (Fastest(alone).ties, Fastest(alone).lead, Fastest(alone).is_guess) == ((), None, False)
    assert fastest(cases([untimed("wrong")])) == {}


def test_the_last_of_three_may_be_the_fastest_too_if_its_launches_scatter() -> None:
    field = [*three_of("first", 10.0, 10.0, 10.1), *three_of("second", 20.0, 20.0, 20.1)]
    found = fastest(cases([*field, *three_of("noisy", 9.0, 30.0, 90.0)]))[4096]
    assert [case.record.backend for case in found.ties] == ["noisy"]
    assert found.lead == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("launches", [1, 2])
def test_below_three_launches_nothing_is_told_apart_and_nothing_is_a_tie(launches: int) -> None:
    speeds = {"first": 10.0, "second": 10.1, "slow": 90.0}
    found = fastest(cases([row for name, us in speeds.items() for row in three_of(name, *[us] * launches)]))[4096]
    assert (found.best.record.backend, found.ties, found.is_guess) == ("first", (), True)


def test_all_pairs_at_all_sizes_of_a_panel_are_judged_together() -> None:
    field = [row for size in (8, 16) for name in "abcd" for row in three_of(name, 1.0, 1.0, 1.0, bytes=size)]
    found = fastest(cases([*field, *three_of("a", 1.0, 1.0, 1.0, bytes=32)]))
    assert {ratio.together for each in found.values() for ratio in each.ratios} == {12}
    assert [len(each.ratios) for each in found.values()] == [3, 3, 0]


# The fastest of many equals looks faster than it is: the table has to allow for that it was picked.
def test_of_equal_backends_none_is_called_the_fastest() -> None:
    draw = np.random.default_rng(1)
    plain, tables, wrong = timed(1.0), 300, 0
    for us in np.exp(draw.normal(0, 0.005, (tables, 5, 4, 6))).tolist():
        field = [
            CaseResult(
                tuple(replace(plain, backend=str(name), bytes=size + 1, launch=at, latency_us_median=each)
                      for at, each in enumerate(us[size][name])), "ok", "",
            )
            for size in range(5) for name in range(4)
        ]  # fmt: skip
        wrong += any(len(found.ties) < 3 for found in fastest(field).values())
    assert wrong / tables <= 0.065


@pytest.mark.parametrize("status", BAD)
def test_everything_that_judges_says_the_same_of_a_case_with_a_bad_launch(status: str) -> None:
    bad = [*launched("ok", "ok", status, backend="nvrar"), *launched("ok", "ok", "ok", backend="nvrar", bytes=8192)]
    good = [row for size in (4096, 8192) for row in launched("ok", "ok", "ok", backend="nccl", bytes=size)]
    rows = [*bad, *good]
    assert latency_table(cases(rows)).cells[1] == ["4 KiB", "20.00", status.upper(), "nccl", "0.614"]
    for found in (compare_backends(rows), compare_files(bad, launched("ok", backend="nvrar"))):
        assert [row.record.bytes for row in found.unjudged] == [4096]
        assert 4096 not in [row.record.bytes for row in found.judged]
    drawn = {chart.name: chart.figure for chart in charts([Run(rows)])}
    colour = KNOWN["nvrar"][0]
    for axes in drawn["latency"].axes:
        (line,) = (shape for shape in axes.lines if shape.get_color() == colour and shape.get_linestyle() != "None")
        assert np.isnan(line.get_ydata()).tolist() == [True, False]
    assert [text.get_text() for text in drawn["best"].axes[0].texts] == ["only", "≈1.00"]
    assert all(f"cases without a number: 1 {status}\n" in figure.texts[1].get_text() for figure in drawn.values())
    problem, names = a_problem(), ("nccl", "nvrar")
    assert finalists({problem: names}, rows, 1) == {}
    assert verdicts({problem: names}, rows, 3) == []


@pytest.mark.parametrize("status", BAD)
def test_the_command_compare_gives_such_a_case_no_verdict(status: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    more = [timed(5.0, backend=name, bytes=8192) for name in ("nccl", "nvrar")]
    rows = [*launched("ok", status, backend="nvrar"), *launched("ok", "ok", backend="nccl"), *more]
    path.write_text(dump(rows), encoding="utf-8")
    shown = CliRunner().invoke(cli, ["compare", str(path), "--json"])
    assert [(row["bytes"], row["verdict"]) for row in json.loads(shown.stdout)] == [
        (8192, "unclear (1 launch)"),
        (4096, None),
    ]
    assert f"{status.upper()}" in CliRunner().invoke(cli, ["compare", str(path)]).stdout


def test_a_comparison_without_any_verdict_is_shown_and_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(dump([*launched("failed", backend="nvrar"), *launched("ok", backend="nccl")]), encoding="utf-8")
    ran = CliRunner().invoke(cli, ["compare", str(path)])
    assert "no verdict: nvrar 4 KiB: failed (reason 0)" in ran.stdout
    assert "no case was timed on both sides" in str(ran.exception)


def test_a_launch_that_failed_over_another_fabric_counts_for_the_case() -> None:
    rows = [timed(10.0, fabric="tcp"), untimed("failed", launch=1, fabric="infiniband")]
    found = panels(cases(rows))
    assert [panel[5] for panel in found] == ["infiniband", "tcp"]
    assert [latency_table(group).cells[1][1] for group in found.values()] == ["FAILED", "FAILED"]


def test_launches_over_another_fabric_are_in_another_table() -> None:
    rows = [timed(10.0, fabric="tcp"), timed(20.0, launch=1, fabric="infiniband")]
    assert [latency_table(group).cells[1][1] for group in panels(cases(rows)).values()] == ["20.00", "10.00"]


def test_ranks_that_are_spread_unevenly_are_no_launches_of_those_spread_evenly() -> None:
    rows = [timed(us, backend=name, nodes=2, gpus_per_node=each) for us, name, each in
            ((10.0, "mpi", 2), (20.0, "mpi", None), (5.0, "nccl", 2), (40.0, "nccl", None))]  # fmt: skip
    assert [latency_table(group).cells[1][1:3] for group in panels(cases(rows)).values()] == [
        ["10.00", "5.000"],
        ["20.00", "40.00"],
    ]
    assert {"latency", "latency-uneven"} <= {chart.name for chart in charts([Run(rows)])}
