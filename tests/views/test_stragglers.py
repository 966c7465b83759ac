"""The closing sentence names a rank or host that is slow launch after launch, and nothing that chance explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from samples import timed

from collbench.results.records import Record
from collbench.views.conclusions import conclusions
from collbench.views.stragglers import straggler

Pick = Callable[[int, int], int | None]  # the slowest rank by launch and size


def run(pick: Pick, launches: int = 4, sizes: int = 10, ratio: float = 1.25, **changes: object) -> list[Record]:
    """Rows of four hosts with two ranks each, or as changed."""
    shape: dict[str, object] = {"ranks": 8, "nodes": 4, "gpus_per_node": 2, "fabric": "tcp", **changes}
    return [
        timed(9.0, launch=launch, bytes=1024 << size, **shape, **slow(pick(launch, size), ratio))
        for launch in range(launches)
        for size in range(sizes)
    ]


def slow(rank: int | None, ratio: float) -> dict[str, object]:
    return {} if rank is None else {
        "slowest_rank": rank, "slowest_host": f"node{rank // 2 + 1}", "slowest_share": 0.9, "slowest_ratio": ratio
    }  # fmt: skip


def test_a_rank_that_is_slow_in_every_launch_is_named() -> None:
    rows = run(lambda launch, size: 5 if size else None)
    line = (
        "rank 5 on node3 took longest in 36 of 40 rows of 4 launches (by chance 5), in the median 1.25× the time of "
        "the others: it is slow, or waits for one that is; sweep --pairs finds a slow host or link"
    )
    assert straggler(rows) == [line]
    assert conclusions(rows) == [line]


def test_late_ranks_do_not_outvote_a_slow_one() -> None:
    rows = run(lambda launch, size: 5)
    late = [row for skew in ("5us", "20us") for row in run(lambda launch, size: None, mode="isolated", skew=skew)]
    late += run(lambda launch, size: None, sizes=20, mode="isolated", skew="0")
    assert straggler([*rows, *late]) == []
    assert [line for line in conclusions([*rows, *late]) if "took longest" in line] == straggler(rows)


def test_of_groups_side_by_side_any_rank_may_be_the_slowest() -> None:
    beside = {"ranks": 2, "nodes": 1, "groups": 4}
    rows = run(lambda launch, size: 5 if size % 2 else None, **beside)
    (line,) = straggler(rows)
    assert line.startswith("rank 5 on node3 took longest in 20 of 40 rows of 4 launches (by chance 5)")
    alone = run(lambda launch, size: size % 2, sizes=20, ranks=2, nodes=1)
    assert straggler([*rows, *alone]) == [line], "rows of a group by itself are of another world"
    across = run(lambda launch, size: 4 + size % 2, ranks=2, nodes=2, gpus_per_node=1, groups=4)
    assert straggler(across)[0].startswith("rank 4 on node3"), "on how many hosts the groups are is not known"


def test_a_host_is_named_where_its_ranks_take_turns() -> None:
    (line,) = straggler(run(lambda launch, size: 4 + size % 2))
    assert line.startswith("a rank on node3 took longest in 40 of 40 rows of 4 launches (by chance 10)")
    (line,) = straggler(run(lambda launch, size: 4 + (size == 9)))
    assert line.startswith("rank 4 on node3 took longest in 36 of 40 rows of 4 launches (by chance 5)")


@pytest.mark.parametrize(
    "rows",
    [
        [],
        run(lambda launch, size: None),
        run(lambda launch, size: 5, launches=2),
        run(lambda launch, size: 5, sizes=4),
        run(lambda launch, size: 5, ratio=1.01),
        run(lambda launch, size: (0, 3, 5, 6)[launch]),
        run(lambda launch, size: size % 8),
        run(lambda launch, size: 5, collective="broadcast", op=""),
        run(lambda launch, size: 5, collective="of-a-newer-version"),
        run(lambda launch, size: 1, launches=5, ranks=2, nodes=1, gpus_per_node=2),  # 2 * 2**-5 is 6 %
        run(lambda launch, size: 1, launches=3, ranks=4, nodes=1, gpus_per_node=4),  # 4 * 4**-3
    ],
    ids=["nothing", "none stands out", "launches", "cases", "of no consequence", "another in each launch", "uniform",
         "root", "unknown", "two ranks", "four ranks"],
)  # fmt: skip
def test_what_chance_or_the_collective_explains_is_not_said(rows: list[Record]) -> None:
    assert straggler(rows) == []


def test_launches_that_each_have_a_slow_rank_by_chance_are_no_finding() -> None:
    """The worst case: all rows of a launch name one rank, drawn anew for each launch."""
    draw, found = np.random.default_rng(7), 0
    for _ in range(400):
        ranks = draw.integers(8, size=4).tolist()
        found += bool(straggler(run(lambda launch, size, of=ranks: of[launch], sizes=5)))  # type: ignore[misc]
    assert found <= 26


@pytest.mark.parametrize("changes", [{"gpus_per_node": None}, {"fabric": "shm-virtual"}, {"nodes": 1}])
def test_hosts_are_compared_only_where_they_are_alike_and_several(changes: dict[str, Any]) -> None:
    assert straggler(run(lambda launch, size: 4 + size % 2, **changes))[0].startswith("rank 4 on node3")


def test_many_worlds_need_more_evidence() -> None:
    alone = run(lambda launch, size: 5, launches=3)
    assert len(straggler(alone)) == 1  # 8 * 8**-3 * 2 questions: 3 %
    others = [row for ranks in (4, 16) for row in run(lambda launch, size: None, ranks=ranks, gpus_per_node=ranks // 4)]
    assert straggler([*alone, *others]) == []
