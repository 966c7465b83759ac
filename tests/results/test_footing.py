"""Rows by the mean over ranks and rows by the slowest rank are put on one footing, and rows of collbench stay as they
are where nothing asks for that."""

from __future__ import annotations

from typing import Any

import pytest
from samples import a_record, timed, untimed

from collbench.results.footing import foreign_kind, kind_of, level, level_sides
from collbench.results.records import Record

PARAMS = "tool=nccl-tests;statistic=mean over ranks"


def by_mean(us: float, **changes: Any) -> Record:
    """A row of nccl-tests."""
    fields = {"backend": "nccl", "params": PARAMS, "latency_us_p05": None, "latency_us_p95": None, **changes}
    return untimed("ok", latency_us_mean=us, **fields)


def test_rows_of_collbench_alone_stay_as_they_are() -> None:
    rows = [timed(9.0), timed(8.0, backend="nccl"), untimed("failed", "broke")]
    assert level(rows) == rows


def test_all_rows_that_stand_together_are_taken_by_their_means() -> None:
    ours = timed(9.0, latency_us_mean=8.5)
    mine, theirs = level([ours, by_mean(12.0)])
    assert (mine.latency_us_median, theirs.latency_us_median) == (8.5, 12.0)
    assert (mine.latency_us_ci_low, mine.latency_us_p05, mine.latency_us_p95) == (None, None, None)
    assert (mine.param["by"], theirs.param["by"], mine.identity) == ("mean", "mean", ours.identity)


def test_bandwidths_follow() -> None:
    (row,) = level([by_mean(8.0, bytes=4096, ranks=4)])
    assert row.algbw_gb_s == pytest.approx(0.512)
    assert row.busbw_gb_s == pytest.approx(0.768)


@pytest.mark.parametrize(
    "change", [{"mode": "isolated"}, {"in_place": True}, {"dtype": "int32"}, {"params": "cache=cold"}]
)
def test_other_charts_keep_the_slowest_rank(change: dict[str, Any]) -> None:
    ours = timed(9.0, **change)
    assert level([ours, by_mean(12.0)])[0] == ours


def test_a_row_without_a_mean_keeps_the_slowest_rank() -> None:
    ours = timed(9.0, latency_us_mean=None)
    assert level([ours, by_mean(12.0)])[0] == ours


@pytest.mark.parametrize("status", ["failed", "wrong", "timeout", "skipped"])
def test_a_row_without_a_latency_gets_none(status: str) -> None:
    rows = [untimed(status, "why", latency_us_mean=3.0), timed(9.0)]
    assert level(rows) == rows


def test_an_unknown_network_joins_the_only_one_of_its_world() -> None:
    nvlink = timed(9.0, fabric="nvlink")
    _, joined = level([nvlink, timed(8.0, backend="nccl", fabric="", params=PARAMS)])
    assert (joined.fabric, joined.param["fabric"]) == ("nvlink", "unknown")


@pytest.mark.parametrize("others", [[], ["nvlink", "pcie"], ["nvlink-virtual"]])
def test_it_joins_none_where_there_is_a_choice(others: list[str]) -> None:
    row = timed(8.0, backend="nccl", fabric="", params=PARAMS)
    assert level([*(timed(9.0, fabric=name) for name in others), row])[-1] == row


def test_another_world_says_nothing_of_the_network() -> None:
    row = timed(8.0, backend="nccl", fabric="", params=PARAMS, ranks=8, gpus_per_node=8)
    assert level([timed(9.0, fabric="nvlink"), row])[1] == row


def test_two_sides_are_levelled_together_and_stay_apart() -> None:
    (mine,), (theirs,) = level_sides([[timed(9.0, latency_us_mean=8.5)], [by_mean(12.0)]])
    assert (mine.latency_us_median, theirs.latency_us_median) == (8.5, 12.0)


def test_what_a_latency_is_in_words() -> None:
    ours, theirs = level([timed(9.0, latency_us_mean=8.5), by_mean(12.0)])
    assert kind_of(a_record()) == "median of the slowest rank (collbench)"
    assert kind_of(ours) == "mean over ranks (collbench)"
    assert kind_of(theirs) == "mean over calls, mean over ranks (nccl-tests)"
    assert (foreign_kind(ours), foreign_kind(theirs)) == ("", f" [{kind_of(theirs)}]")


def test_of_a_tool_that_gives_both_the_words_are_those_of_the_latency_that_is_shown() -> None:
    both = timed(9.0, backend="OSU", latency_us_mean=7.0, latency_us_p95=None, params="tool=osu;statistic=slowest rank")
    shown, _ = level([both, by_mean(12.0)])
    assert (both.latency_us_median, kind_of(both)) == (9.0, "mean over calls, slowest rank (osu)")
    assert (shown.latency_us_median, kind_of(shown)) == (7.0, "mean over calls, mean over ranks (osu)")


@pytest.mark.parametrize("statistic", ["mean over ranks", "slowest rank"])
def test_a_report_over_single_calls_has_their_median(statistic: str) -> None:
    row = timed(9.0, latency_us_p95=9.9, latency_us_mean=8.0, params=f"tool=nccl-tests;statistic={statistic}")
    assert kind_of(row) == "median over calls, slowest rank (nccl-tests)"
    fastest = by_mean(8.0, params="tool=nccl-tests;statistic=fastest rank")
    assert kind_of(level([fastest])[0]) == "mean over calls, fastest rank (nccl-tests)"
