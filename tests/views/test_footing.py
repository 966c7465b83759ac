"""A mean over ranks never stands beside the slowest rank without a sentence that says so."""

from __future__ import annotations

from samples import timed, untimed

from collbench.results.footing import level
from collbench.results.records import Record
from collbench.views.footing import remark

MEAN, SLOWEST = "tool=nccl-tests;statistic=mean over ranks", "tool=imb;statistic=slowest rank"


def by_mean(**changes: str) -> Record:
    """A row of nccl-tests."""
    return untimed("ok", latency_us_mean=1.0, backend="nccl", params=MEAN, **changes)


def test_rows_of_collbench_alone_need_no_words() -> None:
    assert remark([timed(9.0), timed(8.0, backend="nccl")]) == []


def test_what_each_latency_is() -> None:
    (words,) = remark(level([timed(9.0), by_mean()]))
    assert words == (
        "Latencies are, of mpi: mean over ranks (collbench); nccl: mean over calls, mean over ranks (nccl-tests)."
    )


def test_a_warning_where_they_are_not_of_one_kind() -> None:
    *_, warning = remark(level([timed(9.0, latency_us_mean=None, params=SLOWEST), by_mean()]))
    assert warning.startswith("NOT OF ONE KIND: mpi by the slowest rank, nccl not: ")
    assert warning.endswith("ratios between them favour the latter.")


def test_whose_network_is_taken_for_that_of_the_others() -> None:
    _, words = remark(level([timed(9.0, fabric="nvlink"), by_mean(fabric="")]))
    assert words == "The network of nccl is not known; it is taken for that of the others."


def test_the_slowest_rank_of_two_tools_is_one_kind() -> None:
    assert len(remark(level([timed(9.0), timed(8.0, backend="imb", params=SLOWEST)]))) == 1
