"""Replays in numbers: sums, differences and late ranks, by hand."""

from __future__ import annotations

import pytest
from replayed import a_launch, a_row

from collbench.results.replays import SKEWED
from collbench.views.replay_sums import SkewSummary, summaries


def test_a_backend_is_the_median_of_its_launches() -> None:
    rows = [row for launch, us in enumerate((370.0, 380.0, 420.0)) for row in a_launch(launch, "nvrar", us, 5.0)]
    (found,) = summaries(rows)
    assert (found.launches, found.communication_us, found.sum_us) == (3, 380.0, 65 * 5.0 + 40.0)
    assert found.difference == pytest.approx(380 / 365 - 1)
    assert (found.step_us, found.compute_us, found.beyond_us) == (None, None, None)
    assert [(part.count, part.us, part.sum_us, part.added_us) for part in found.parts] == [
        (65, 5.0, 325.0, 325.0), (1, 40.0, 40.0, 40.0),
    ]  # fmt: skip


def test_compute_of_one_launch_counts_for_every_backend_of_it() -> None:
    rows = [*a_launch(0, "nvrar", 370.0, 5.0, "gemm"), *a_launch(0, "nccl", 500.0, 7.0, "gemm")[:-2]]
    assert [each.compute_us for each in summaries(rows)] == [900.0, 900.0]


def test_late_ranks_count_beyond_a_pass_with_the_same_spins() -> None:
    rows = [
        a_row(us_median=100.0),
        a_row(part=SKEWED, skew="0", us_median=130.0, first_late_us=0.0, last_late_us=0.0),
        a_row(part=SKEWED, skew="20us", us_median=400.0, first_late_us=80.0, last_late_us=250.0),
    ]
    (found,) = summaries(rows)
    assert found.skews == (SkewSummary("20us", from_first_us=290.0, from_last_us=120.0),)
