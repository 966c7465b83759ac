"""The row of a case that was timed: its slowest rank, and whether multicast was switched off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from samples import a_problem

from collbench import registry
from collbench.measure.rows import RowMaker
from collbench.measure.timing import Track
from collbench.plan.layout import Layout
from collbench.plan.problem import Case
from collbench.plan.skew import Skew
from collbench.results.records import Record

HOSTS = ("a", "a", "b", "b")


def row(
    backend: str = "mpi", times: tuple[float, ...] = (1e-6, 1e-6), own: dict[str, str] | None = None,
    skew: Skew | None = None, **of: Any,
) -> Record:  # fmt: skip
    """The row of a case on ranks 1 and 3 of four, each sample with these times; with ``skew`` 5 µs from the first
    arrival to the last."""
    maker = RowMaker("run", 0, {"cpu": "a CPU", "gpu": "a GPU"}, lambda kind, layout: "shm", HOSTS, **of)
    operation = cast("Any", SimpleNamespace(rounds=SimpleNamespace(calls=3)))
    track = Track(operation, [max(times)] * 9, [float(np.mean(times))] * 9, [np.array(times)] * 9)
    track.firsts = [max(times) + 5e-6] * 9
    case = Case(a_problem(layout=Layout((1, 3), (0, 1)), skew=skew), backend)
    return maker.timed(case, registry.find(backend), track, own or {}, None, (), True).record


def test_the_slowest_rank_is_that_of_the_launch_and_has_a_host() -> None:
    found = row(times=(1e-6, 3e-6))
    assert (found.slowest_rank, found.slowest_host, found.slowest_share) == (3, "b", 1.0)
    assert found.slowest_ratio == pytest.approx(3)
    assert found.latency_us_median == pytest.approx(3)


def test_ranks_that_are_equally_fast_leave_the_cells_empty() -> None:
    found = row()
    assert (found.slowest_rank, found.slowest_host, found.slowest_share, found.slowest_ratio) == (None, "", None, None)


def test_a_row_says_that_its_library_was_kept_from_multicast() -> None:
    off = frozenset({"nccl"})
    names = ("nccl", "nccl-symm", "nvshmem", "mpi")
    assert [row(name, multicast_off=off).param.get("multicast") for name in names] == ["off", "off", None, None]
    assert "multicast" not in row("nccl").params
    assert "multicast" not in row("nccl", own={"transport": "nvls"}, multicast_off=off).params


def test_a_row_names_the_settings_in_which_profile_and_environment_disagreed() -> None:
    assert row("nccl", conflicts=("FI_PROVIDER", "NCCL_NET")).param["conflicts"] == "FI_PROVIDER+NCCL_NET"
    assert "conflicts" not in row("nccl").params


def test_a_row_of_late_ranks_has_both_latencies_and_nothing_that_is_of_ranks_together() -> None:
    together, late = row("mpi", (1e-6, 3e-6)), row("mpi", (1e-6, 3e-6), skew=Skew(20_000, 1))
    assert (together.skew, together.first_us_median) == ("", None)
    assert late.skew == "20us:1"
    assert late.first_us_median == pytest.approx(8)
    assert late.latency_us_median == together.latency_us_median
    assert together.busbw_gb_s
    assert (late.algbw_gb_s, late.busbw_gb_s, late.bound_us, late.slowest_rank) == (None, None, None, None)
