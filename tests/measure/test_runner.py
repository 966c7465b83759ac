"""Backends that are wrong on purpose are caught, named and end the sweep with exit code 3."""

from __future__ import annotations

import pytest
from running import BROKEN, Mpi

QUICK = ("--samples", "3", "--max-seconds", "0.05", "-o", "r.csv")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("drops-a-rank", "the contribution of rank 1 is missing"),
        ("doubles-a-rank", "the contribution of rank 0 is counted twice"),
        ("leaves-the-tail", "element 1021: never written"),
        ("returns-stale", "stale, it is the answer of an earlier call"),
        ("wrong-when-timed", "in timed calls: rank 0"),
        ("writes-past-the-end", "bytes were written outside the output"),
        ("writes-before", "bytes were written outside the output"),
        ("changes-its-input", "the input was changed, first in element 7"),
    ],
)
def test_each_mistake_is_caught_and_named(mpich: Mpi, name: str, words: str) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "3", "--sizes", "4K", "--backend", f"mpi,{name}", *QUICK, PYTHONPATH=str(BROKEN)
    )
    assert ran.code == 3, ran.err
    right, wrong = sorted(mpich.rows(), key=lambda row: row.backend != "mpi")
    assert (right.backend, right.status, right.wrong) == ("mpi", "ok", 0)
    assert (wrong.backend, wrong.status) == (name, "wrong")
    assert words in wrong.reason
    assert wrong.wrong
    assert wrong.latency_us_median is None
    assert "WRONG" in ran.out
    assert words in ran.out


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32"])
def test_a_dropped_rank_shows_in_every_type(mpich: Mpi, dtype: str) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "4", "--sizes", "1000", "--dtype", dtype, "--backend", "drops-a-rank", *QUICK,
        PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 3
    assert "rank 1 is missing" in mpich.rows()[0].reason


@pytest.mark.parametrize("size", ["4K", "2M"])
@pytest.mark.parametrize("name", ["two-late", "drops-a-rank", "writes-past-the-end"])
def test_small_and_large_messages_are_proven_alike(mpich: Mpi, name: str, size: str) -> None:
    """Large messages share their memory between slots: still calls that are one or two apart have other data."""
    ran = mpich.run("sweep", "--ranks", "2", "--sizes", size, "--backend", name, *QUICK, PYTHONPATH=str(BROKEN))
    assert (ran.code, mpich.rows()[0].status) == (3, "wrong")


@pytest.mark.parametrize("size", ["4K", "2M"])
def test_nobody_gains_from_data_that_never_changes(mpich: Mpi, size: str) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "2", "--sizes", size, "--backend", "mpi,skips-unchanged", *QUICK, PYTHONPATH=str(BROKEN)
    )
    assert ran.code == 0, ran.err
    latency = {row.backend: row.latency_us_min or 0 for row in mpich.rows()}
    assert latency["skips-unchanged"] > latency["mpi"] / 2


def test_without_verification_nothing_is_claimed(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep",
        "--ranks",
        "2",
        "--sizes",
        "4K",
        "--backend",
        "drops-a-rank",
        "--no-verify",
        *QUICK,
        PYTHONPATH=str(BROKEN),
    )
    assert ran.code == 0
    (row,) = mpich.rows()
    assert row.status == "ok"
    assert row.wrong is None
    assert row.error_units is None
