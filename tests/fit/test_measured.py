"""Latencies as a results file has them."""

from __future__ import annotations

import math

import pytest
from samples import timed, untimed

from collbench.errors import UsageError
from collbench.fit.estimate import AmbiguousError, Estimate
from collbench.fit.measured import Measured
from collbench.results.records import Record


def source(*rows: Record) -> Measured:
    return Measured(rows, "mpi", "x.csv")


def ask(*rows: Record, size: int = 4096, ranks: int = 4, nodes: int = 1) -> Estimate:
    return source(*rows).of("all_reduce", size, ranks, nodes)


def test_a_measured_size_has_the_median_over_launches_and_its_range() -> None:
    found = ask(*(timed(us, launch=launch) for launch, us in enumerate([9.0, 10.0, 12.0])))
    assert (found.us, found.basis, found.source) == (10.0, "measured", "x.csv mpi 4 KiB")
    assert found.low < 9.0
    assert found.high > 12.0


def test_one_launch_has_the_interval_of_its_row() -> None:
    found = ask(timed(10.0))
    assert (found.low, found.us, found.high) == (9.9, 10.0, 10.1)


def test_between_two_sizes_logarithms_are_on_a_line() -> None:
    found = ask(timed(10.0), timed(40.0, bytes=16384), size=8192)
    assert found.us == pytest.approx(20.0)
    assert [found.low, found.high] == pytest.approx([0.99 * 20, 1.01 * 20])
    assert found.source == "x.csv mpi 4 KiB to 16 KiB"


@pytest.mark.parametrize("size", [2048, 32768, 5000])
def test_a_size_with_no_neighbours_is_refused(size: int) -> None:
    rows = (timed(10.0), timed(40.0, bytes=17 * 4096)) if size == 5000 else (timed(10.0), timed(40.0, bytes=16384))
    with pytest.raises(UsageError, match="have no size near"):
        ask(*rows, size=size)


def test_another_world_collective_and_a_bad_case_have_no_latency() -> None:
    wrong = (timed(10.0, bytes=8192), untimed("wrong", launch=1, bytes=8192))
    for rows, size, ranks in [((timed(10.0),), 4096, 2), (wrong, 8192, 4)]:
        with pytest.raises(UsageError, match=r"there are none with a latency"):
            ask(*rows, size=size, ranks=ranks)
    with pytest.raises(UsageError, match="for broadcast"):
        source(timed(10.0)).of("broadcast", 4096, 4, 1)


def test_rows_that_differ_in_more_than_size_are_not_mixed() -> None:
    with pytest.raises(UsageError, match=r"several values of dtype .*x.csv\?dtype=bfloat16#mpi"):
        ask(timed(10.0), timed(8.0, dtype="bfloat16"))


def test_values_are_named_as_in_the_file() -> None:
    with pytest.raises(UsageError, match=r"several values of groups \(none, 2\).*x.csv\?groups=#mpi"):
        ask(timed(10.0), timed(8.0, groups=2))
    with pytest.raises(UsageError, match=r"several values of in_place \(false, true\)"):
        ask(timed(10.0), timed(8.0, in_place=True))
    with pytest.raises(UsageError, match="several values of skew"):
        ask(timed(10.0), timed(8.0, skew="20us"))


def test_sizes_of_a_pass_differ_in_type_and_groups_without_being_mixed() -> None:
    """As in a file of sweep --llm: token ids beside hidden states, logits of one group beside slices of three."""
    ids, slices = timed(8.0, dtype="int64", bytes=8), timed(9.0, groups=3, bytes=1024)
    rows = (ids, slices, timed(10.0, dtype="bfloat16"))
    assert [ask(*rows, size=size).us for size in (8, 1024, 4096)] == [8.0, 9.0, 10.0]
    with pytest.raises(AmbiguousError, match=r"several values of dtype \(bfloat16, float32\)"):
        ask(*rows, size=2048)


def test_one_ambiguous_collective_leaves_the_others() -> None:
    both = (timed(8.0, collective="broadcast"), timed(8.0, collective="broadcast", mode="isolated"))
    assert ask(timed(10.0), *both).us == 10.0
    with pytest.raises(AmbiguousError, match="rows of mpi for broadcast with several values of mode"):
        source(timed(10.0), *both).of("broadcast", 4096, 4, 1)


def test_of_many_values_some_are_shown() -> None:
    with pytest.raises(UsageError, match=r"pair \(a\+b, a\+c, a\+d, a\+e and 2 more\)"):
        ask(*(timed(10.0, pair=f"a+{other}") for other in "bcdefg"))


def test_unevenly_filled_nodes_are_no_even_ones() -> None:
    with pytest.raises(UsageError, match="none with a latency"):
        ask(timed(10.0, nodes=2, gpus_per_node=None), nodes=2)


def test_virtual_nodes_are_no_measurement_of_a_network() -> None:
    found = ask(timed(10.0, nodes=2, gpus_per_node=2, fabric="nvlink-virtual"), nodes=2)
    assert (found.basis, found.source) == ("assumed", "x.csv mpi on virtual nodes 4 KiB")


@pytest.mark.parametrize(
    ("size", "ranks", "nodes"), [(0, 4, 1), (-1, 4, 1), (10**400, 4, 1), (8, 1, 1), (8, 4, 3), (8, 4, 0)]
)
def test_impossible_requests_are_refused(size: int, ranks: int, nodes: int) -> None:
    with pytest.raises(UsageError, match=r"is empty|no memory holds|cannot be spread"):
        ask(timed(10.0), size=size, ranks=ranks, nodes=nodes)


def test_the_launches_range_is_student_s() -> None:
    found = ask(timed(10.0), timed(12.1, launch=1))
    assert found.high == pytest.approx(11.0 * math.exp(12.7062 * math.log(1.1)), rel=1e-4)
