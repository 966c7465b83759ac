"""Verdicts on rows beside published figures, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from published import SITE, WORLD, fabric, like, skipped, sockets
from samples import untimed

from collbench.errors import UsageError
from collbench.results.against import Verdict, judge, verdict_of
from collbench.results.published import find
from collbench.results.records import Record

FABRIC = find(SITE)


def verdicts(rows: list[Record]) -> list[Verdict | None]:
    return [each.verdict for each in judge(rows, FABRIC).rows]


@pytest.mark.parametrize(("us", "published", "over_sockets", "verdict"), [
    (12.5, 10.0, 1000.0, Verdict.AS_PUBLISHED),
    (12.6, 10.0, 1000.0, Verdict.SLOWER),
    (8.0, 10.0, 1000.0, Verdict.AS_PUBLISHED),
    (7.9, 10.0, 1000.0, Verdict.FASTER),
    (99.0, 10.0, 1000.0, Verdict.SLOWER),
    (101.0, 10.0, 1000.0, Verdict.SOCKETS),
    (9999.0, 10.0, 1000.0, Verdict.SOCKETS),
    (101.0, 10.0, None, Verdict.SLOWER),
    (19.0, 10.0, 19.9, Verdict.SLOWER),
    (19.0, 10.0, 20.0, Verdict.SOCKETS),
    (10.0, 10.0, 5.0, Verdict.AS_PUBLISHED),
])  # fmt: skip
def test_verdicts(us: float, published: float, over_sockets: float | None, verdict: Verdict) -> None:
    assert verdict_of(us, published, over_sockets) is verdict


def test_runs_like_those_published() -> None:
    assert verdicts(like(fabric())) == [Verdict.AS_PUBLISHED] * 3
    assert verdicts(like(fabric(), 1.3)) == [Verdict.SLOWER] * 3
    assert verdicts(like(sockets())) == [Verdict.SOCKETS] * 3


def test_a_slow_run_does_not_look_like_sockets_at_small_sizes() -> None:
    sizes = [size for size, in_place in fabric().points if not in_place]
    assert set(verdicts(like(fabric(), 1.8, sizes))) == {Verdict.SLOWER}
    assert verdicts(like(fabric(), 1.8, [16])) == [Verdict.SOCKETS], "nothing else is known of this run"
    over_sockets = verdicts(like(sockets(), 0.8, sizes))
    assert over_sockets.count(Verdict.SOCKETS) > 20
    one_late = [*like(sockets(), 1.0, [8]), *like(fabric(), 1.0, [1 << 20, 1 << 27])]
    assert verdicts(one_late) == [Verdict.SLOWER, Verdict.AS_PUBLISHED, Verdict.AS_PUBLISHED]


def test_the_mean_over_ranks_is_taken_where_all_launches_have_it() -> None:
    first = like(fabric())[0]
    second = replace(first, launch=1, latency_us_mean=None)
    (by_mean,), (slowest,) = judge([first], FABRIC).rows, judge([first, second], FABRIC).rows
    assert (by_mean.by_mean, by_mean.us) == (True, 17.93)
    assert (slowest.by_mean, slowest.us, slowest.verdict) == (False, 2 * 17.93, Verdict.SLOWER)


def test_a_launch_that_was_skipped_does_not_change_the_statistic() -> None:
    first = like(fabric())[0]
    (found,) = judge([first, skipped(first)], FABRIC).rows
    assert (found.by_mean, found.us) == (True, 17.93)


def test_the_median_over_launches() -> None:
    first = like(fabric())[0]
    rows = [replace(first, launch=launch, latency_us_mean=us) for launch, us in enumerate((18.0, 19.0, 99.0))]
    assert [each.us for each in judge(rows, FABRIC).rows] == [19.0]


def test_in_place_has_figures_of_its_own() -> None:
    rows = [replace(row, in_place=True) for row in like(fabric(), sizes=[1 << 19])]
    (found,) = judge(rows, FABRIC).rows
    assert (found.published_us, found.sockets_us, found.verdict) == (349.6, 1138.0, Verdict.FASTER)


def test_one_rank_a_node_has_no_sockets_to_be_told_from() -> None:
    figures = FABRIC.figures[2]
    (found,) = judge(like(figures, 20, [1 << 20], ranks=2, gpus_per_node=1), FABRIC).rows
    assert (found.sockets_us, found.verdict) == (None, Verdict.SLOWER)


def test_a_size_without_a_figure_is_listed_and_one_without_a_latency_has_no_verdict() -> None:
    row = like(fabric())[0]
    wrong = untimed("wrong", **{name: getattr(row, name) for name in WORLD}, bytes=16, latency_us_mean=None)
    found = judge([row, wrong, replace(row, bytes=40), replace(row, bytes=24)], FABRIC)
    assert [(each.us, each.verdict) for each in found.rows][1:] == [(None, None)]
    assert found.without == (24, 40)


@pytest.mark.parametrize(("changes", "words"), [
    ({"collective": "all_gather"}, "no figures for the collective all_gather; it has all_reduce float32 sum 2x4"),
    ({"dtype": "bfloat16"}, "no figures for the type bfloat16"),
    ({"op": "max"}, "no figures for the reduction max"),
    ({"nodes": 4, "gpus_per_node": 2}, "no figures for the world 4x2"),
    ({"gpus_per_node": None}, "no figures for the world 2xuneven"),
    ({"fabric": "nvlink-virtual"}, "no figures for the world 2x4 virtual"),
    ({"groups": 2}, "no figures for the world 2x4 in 2 groups at once"),
    ({"mode": "chain"}, "no figures for the mode chain; it has all_reduce float32 sum 2x4 throughput, 8 B to 128 MiB"),
    ({"params": "cache=cold"}, "no figures for the mode throughput cold"),
    ({"skew": "20us"}, "no figures for the mode throughput skew 20us"),
    ({"bytes": 24}, "no figures for the sizes 24 B"),
])  # fmt: skip
def test_what_the_site_does_not_publish_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        judge([replace(like(fabric())[0], **changes)], FABRIC)
    assert words in str(refused.value)


def test_cases_that_cross_those_of_the_site_are_refused() -> None:
    gathered = replace(fabric(), collective="all_gather", dtype="bfloat16")
    site = replace(FABRIC, figures=(fabric(), gathered))
    row = like(fabric())[0]
    crossed = [replace(row, dtype="bfloat16"), replace(row, collective="all_gather")]
    with pytest.raises(UsageError, match="no figures for this combination; it has all_reduce float32"):
        judge(crossed, site)


def test_rows_that_have_no_figure_stand_aside() -> None:
    row = like(fabric())[0]
    assert len(judge([row, replace(row, dtype="bfloat16"), replace(row, nodes=8, ranks=32)], FABRIC).rows) == 1


def test_which_backend() -> None:
    row = like(fabric())[0]
    nvrar, mine = replace(row, backend="nvrar"), replace(row, backend="mine")
    assert judge([nvrar, row], FABRIC).backend == "nccl"
    assert judge([nvrar], FABRIC).backend == "nvrar"
    assert judge([nvrar, row], FABRIC, "nvrar").backend == "nvrar"
    with pytest.raises(UsageError, match=r"no row is of nccl, .* name one by --backend: mine, nvrar"):
        judge([nvrar, mine], FABRIC)
    with pytest.raises(UsageError, match="unknown backend 'mpi'"):
        judge([nvrar], FABRIC, "mpi")
    with pytest.raises(UsageError, match="there is no row of a case"):
        judge([], FABRIC)
