"""What a replay says in words: whose pass is shorter, by how much, and how sure that is."""

from __future__ import annotations

import pytest
from replayed import a_launch, a_row

from collbench.printer.plain import plain_page
from collbench.results.replays import COMMUNICATION, ReplayRecord
from collbench.results.verdicts import paired_ratio
from collbench.views.replay_conclusions import compared, conclusions, reading
from collbench.views.replays import data, page


def launches(us: dict[str, list[float]], compute: str = "none") -> list[ReplayRecord]:
    """Launches in which each backend communicates for so long."""
    return [
        row for name, each in us.items() for at, one in enumerate(each) for row in a_launch(at, name, one, 5, compute)
    ]


TWO = {"nccl": [500.0, 510.0, 490.0], "nvrar": [250.0, 251.0, 252.0]}


def test_medians_are_those_of_the_table_and_the_ratio_is_judged_launch_against_launch() -> None:
    rows = launches(TWO)
    (found,) = compared(rows)
    assert (found.a, found.b, found.a_us, found.b_us) == ("nvrar", "nccl", 251.0, 500.0)
    assert found.ratio == paired_ratio(TWO["nvrar"], TWO["nccl"])
    line = "communication alone: nvrar is faster than nccl, 251.0 µs a step against 500.0, 1.99× (1.88 to 2.11)"
    assert conclusions(rows) == [line]
    assert f"- {line}" in plain_page(page(rows))
    (value,) = data(rows)
    assert value["comparisons"] == [
        {"figure": "communication", "a": "nvrar", "b": "nccl", "a_us": 251.0, "b_us": 500.0, "value": found.ratio.value,
         "low": found.ratio.low, "high": found.ratio.high, "confidence": 0.95, "together": 1, "launches": 3,
         "verdict": "faster"},
    ]  # fmt: skip


def test_with_compute_the_whole_step_counts_too_and_all_are_judged_together() -> None:
    rows = launches({**TWO, "mpi": [500.0, 509.0, 491.0]}, "gemm")
    assert [(each.figure, each.a, each.ratio.together) for each in compared(rows)] == [
        ("communication", "mpi", 4), ("communication", "nvrar", 4), ("step", "mpi", 4), ("step", "nvrar", 4),
    ]  # fmt: skip
    lines = conclusions(rows)
    assert lines[0].startswith("communication alone: mpi is indistinguishable from nccl, 500.0 µs a step against 500.0")
    assert lines[0].endswith(", 1.000× its time (0.990 to 1.010)")
    assert lines[3].startswith("with matrix products: nvrar is faster than nccl, 1,181 µs a step against 1,430, 1.21× ")
    assert reading(compared(rows))[1].endswith("95 % for all 4 ratios of a pass together, 98.75 % each.")
    assert all("with spins: " in each for each in conclusions(launches(TWO, "spin"))[1:])


def test_few_launches_have_no_verdict() -> None:
    rows = launches({name: each[:2] for name, each in TWO.items()})
    assert conclusions(rows) == [
        "communication alone: nvrar took 0.50× the time of nccl, 250.5 µs a step against 505.0; no verdict"
    ]
    assert "2 launches: no verdict" in plain_page(page(rows))


def test_launches_of_one_backend_alone_do_not_pair() -> None:
    rows = launches({"nccl": [500.0, 510.0, 490.0, 9e5], "nvrar": [250.0, 251.0, 252.0]})
    (found,) = compared(rows)
    assert (found.ratio.launches, found.ratio.value) == (3, paired_ratio(TWO["nvrar"], TWO["nccl"]).value)
    apart = [
        *launches({"nccl": TWO["nccl"]}),
        *(a_row(launch=9 + at, us_median=us) for at, us in enumerate((1.0, 2.0))),
    ]
    assert [(each.ratio.paired, each.ratio.launches) for each in compared(apart)] == [(False, 2)]


def test_the_baseline_may_be_chosen_and_one_without_a_time_is_none() -> None:
    rows = [*launches({**TWO, "mpi": [700.0] * 3}), a_row(backend="bad", status="wrong", us_median=1.0)]
    assert [(each.a, each.b) for each in compared(rows, "nvrar")] == [("mpi", "nvrar"), ("nccl", "nvrar")]
    assert {each.b for each in compared(rows, "bad")} == {each.b for each in compared(rows)} == {"nccl"}


@pytest.mark.parametrize(
    ("compute", "words"),
    [("none", ""), ("gemm", ", 1,180 µs with matrix products")],
)
def test_a_backend_alone_has_a_line(compute: str, words: str) -> None:
    rows = launches({"mpi": [250.0] * 3}, compute)
    said = f"mpi takes 250.0 µs of communication a step{words}; no other backend has a time to compare it with"
    assert conclusions(rows) == [said]
    assert reading(compared(rows)) == []


def test_a_prefill_has_passes_and_nothing_timed_has_no_line() -> None:
    rows = [a_row(launch=at, backend=name, us_median=us, pass_kind="prefill") for at in range(3)
            for name, us in (("mpi", 8.0), ("nvrar", 4.0))]  # fmt: skip
    assert "4.000 µs a pass against 8.000, 2.00×" in conclusions(rows)[0]
    assert conclusions([a_row(status="failed", part=COMMUNICATION)]) == []
