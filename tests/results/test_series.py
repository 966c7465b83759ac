"""Series of nights: what belongs together, what is compared, and why there is no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nights import a_night, launches_of, nights_of
from samples import untimed

from collbench.results.nights import nights_in
from collbench.results.series import Series, series_of
from collbench.results.trends import Trend

STEADY = [10.0] * 8


def series_in(folder: Path) -> list[Series]:
    """The judged series of a folder."""
    return series_of(nights_in(folder).nights)


def only(folder: Path) -> Series:
    """The series of a folder that has one."""
    (found,) = series_in(folder)
    return found


def trend(series: Series) -> Trend | None:
    """What is said of a series."""
    return series.judgement.trend if series.judgement else None


def test_a_point_is_the_median_over_launches(tmp_path: Path) -> None:
    rows = [row for us, launch in ((1.0, 0), (9.0, 1), (2.0, 2)) for row in launches_of(us, 3) if row.launch == launch]
    a_night(tmp_path, 0, rows)
    assert [point.us for point in only(tmp_path).points] == [2.0]


@pytest.mark.parametrize(
    "other",
    [{"backend": "nvrar@ll"}, {"bytes": 8192}, {"dtype": "bfloat16"}, {"op": "max"}, {"mode": "isolated"},
     {"params": "cache=cold"}, {"in_place": True}, {"ranks": 8}, {"fabric": "shm-virtual"}],
)  # fmt: skip
def test_cases_are_not_mixed(tmp_path: Path, other: dict[str, Any]) -> None:
    a_night(tmp_path, 0, [*launches_of(10.0), *launches_of(20.0, **other)])
    assert sorted(each.timed[0].us or 0 for each in series_in(tmp_path)) == [10.0, 20.0]


def test_models_of_gpus_are_not_mixed(tmp_path: Path) -> None:
    for day in range(18):
        a_night(tmp_path, day, launches_of(10.0 + 5 * (day % 2)), gpu=("H100", "H200")[day % 2])
    assert [(each.machine, trend(each)) for each in series_in(tmp_path)] == [
        ("H100", Trend.WITHIN),
        ("H200", Trend.WITHIN),
    ]


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"driver": 12080}, "driver 12.8 → 13.0"), ({"nccl": "2.27.7"}, "nccl 2.27.7 → 2.28.9"),
     ({"nvshmem": "3.4.4"}, "nvshmem 3.4.4 → 3.4.5")],
)  # fmt: skip
def test_a_change_of_versions_is_marked_and_ends_what_is_compared(
    tmp_path: Path, facts: dict[str, Any], words: str
) -> None:
    for day in range(8):
        a_night(tmp_path, day, launches_of(10.0), **facts)
    for day in range(8, 14):
        a_night(tmp_path, day, launches_of(12.0))
    found = only(tmp_path)
    assert [(change.words, change.point.us) for change in found.changes] == [(words, 12.0)]
    assert found.changes[0].ratio == pytest.approx(1.2)
    assert (found.judgement, found.reason) == (None, "6 nights with these versions, 7 are needed")
    a_night(tmp_path, 14, launches_of(12.0))
    assert trend(only(tmp_path)) is Trend.WITHIN


def test_another_transport_or_fabric_is_a_version_too(tmp_path: Path) -> None:
    for day in range(9):
        fabric, transport = ("infiniband", "ibrc") if day < 7 else ("tcp", "sockets")
        a_night(tmp_path, day, launches_of(10.0, nodes=2, fabric=fabric, params=f"cache=hot;transport={transport}"))
    found = only(tmp_path)
    assert [change.words for change in found.changes] == ["transport ibrc → sockets, fabric infiniband → tcp"]
    assert found.reason == "2 nights with these versions, 7 are needed"


def test_earlier_versions_count_again_when_they_come_back(tmp_path: Path) -> None:
    for day in range(12):
        a_night(tmp_path, day, launches_of(10.0 if day < 10 else 11.0), nccl="2.29.1" if 6 <= day < 10 else "2.28.9")
    found = only(tmp_path)
    assert (trend(found), len(found.alike), len(found.changes)) == (Trend.SLOWER, 8, 2)


def test_a_night_of_an_unknown_machine_is_shown_but_not_compared(tmp_path: Path) -> None:
    paths = nights_of(tmp_path, [*STEADY, 10.0])
    paths[3].with_suffix(".json").unlink()
    found = only(tmp_path)
    assert (len(found.points), len(found.alike), found.changes, found.machine) == (9, 8, [], "H200")


def test_nights_without_any_sidecar_are_compared(tmp_path: Path) -> None:
    for path in nights_of(tmp_path, [*STEADY, 11.0, 11.0]):
        path.with_suffix(".json").unlink()
    assert trend(only(tmp_path)) is Trend.SLOWER


@pytest.mark.parametrize("status", ["wrong", "failed", "timeout"])
def test_a_bad_launch_leaves_the_night_without_a_point_or_verdict(tmp_path: Path, status: str) -> None:
    nights_of(tmp_path, STEADY)
    a_night(tmp_path, 8, [*launches_of(9.0, 2), untimed(status, launch=2)])
    found = only(tmp_path)
    assert ([point.us for point in found.untimed], found.judgement) == ([None], None)
    assert found.reason == f"{status} on 2026-09-09"
    a_night(tmp_path, 9, launches_of(10.0))
    assert trend(only(tmp_path)) is Trend.WITHIN


def test_a_case_that_is_no_longer_timed_has_no_verdict(tmp_path: Path) -> None:
    nights_of(tmp_path, [*STEADY, 12.0, 12.0])
    assert only(tmp_path).is_slower
    a_night(tmp_path, 10, launches_of(10.0, bytes=8192))
    old, new = series_in(tmp_path)
    assert (old.judgement, old.reason) == (None, "no row since 2026-09-10")
    assert new.reason == "1 night with these versions, 7 are needed"


def test_nights_of_other_worlds_do_not_make_a_case_old(tmp_path: Path) -> None:
    nights_of(tmp_path, STEADY)
    a_night(tmp_path, 8, launches_of(20.0, ranks=8))
    assert trend(series_in(tmp_path)[0]) is Trend.WITHIN


def test_cases_that_never_had_a_latency_are_no_series(tmp_path: Path) -> None:
    a_night(tmp_path, 0, [*launches_of(10.0), untimed("skipped", backend="nccl")])
    assert [each.record.backend for each in series_in(tmp_path)] == ["mpi"]


def test_the_usual_number_of_launches_is_that_of_most_nights_or_else_the_larger(tmp_path: Path) -> None:
    for day, launches in enumerate((2, 3, 2, 3)):
        a_night(tmp_path, day, launches_of(10.0, launches))
    assert only(tmp_path).usual_launches == 3
    a_night(tmp_path, 4, launches_of(10.0, 2))
    assert only(tmp_path).usual_launches == 2


@pytest.mark.parametrize(
    ("last", "onset"),
    [([11.0, 11.0], (15, 16)), ([11.0, 10.0, 11.0, 11.0, 11.0], (17, 18)), ([10.0], None), ([11.0, 10.0], None)],
)
def test_the_onset_is_the_first_of_the_slower_nights(
    tmp_path: Path, last: Sequence[float], onset: tuple[int, int] | None
) -> None:
    for day, us in enumerate([*STEADY, *STEADY, *last]):
        a_night(tmp_path, day, launches_of(us), commit=str(day))
    found = only(tmp_path).onset
    assert (found and tuple(int(point.night.commit) for point in found)) == onset
