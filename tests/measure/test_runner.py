"""Backends that are wrong on purpose are caught, named and end the sweep with exit code 3."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from running import BROKEN, Mpi, Ran

from collbench.results.records import Record

QUICK = ("--samples", "3", "--max-seconds", "0.05", "-o", "r.csv")
MISTAKES = {
    "drops-a-rank": "the contribution of rank 1 is missing",
    "doubles-a-rank": "the contribution of rank 0 is counted twice",
    "leaves-the-tail": "element 1021: never written",
    "returns-stale": "stale: the answer of an earlier call",
    "wrong-when-timed": "in timed calls: rank 0",
    "writes-past-the-end": "bytes were written outside the output",
    "writes-before": "bytes were written outside the output",
    "changes-its-input": "the input was modified, first at element 7",
}
SAMPLES = 25  # what is wrong when timed is so from its 21st call on, and a sample makes at least one


@dataclass(frozen=True)
class Swept:
    """The exit code of a sweep, and its rows by backend."""

    ran: Ran
    rows: dict[str, Record]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """All mistakes beside a backend that makes none, in one launch."""
    mpich = Mpi("mpich", tmp_path_factory.mktemp("wrong"))
    ran = mpich.run(
        "sweep", "--ranks", "3", "--sizes", "4K", "--backend", ",".join(["mpi", *MISTAKES]), "--samples", str(SAMPLES),
        "-o", "r.csv", PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    return Swept(ran, {row.backend: row for row in mpich.rows()})


def test_a_right_backend_beside_wrong_ones_is_right(swept: Swept) -> None:
    assert swept.ran.code == 3, swept.ran.err
    assert swept.rows.keys() == {"mpi", *MISTAKES}
    assert (swept.rows["mpi"].status, swept.rows["mpi"].wrong) == ("ok", 0)
    assert "WRONG" in swept.ran.out


@pytest.mark.parametrize(("name", "words"), MISTAKES.items(), ids=MISTAKES)
def test_each_mistake_is_caught_and_named(swept: Swept, name: str, words: str) -> None:
    row = swept.rows[name]
    assert row.status == "wrong"
    assert words in row.reason
    assert row.wrong
    assert row.latency_us_median is None
    assert words in swept.ran.out


def test_one_mistake_alone_ends_with_exit_3(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "4", "--sizes", "1000", "--dtype", "bfloat16,float16,int32", "--backend", "drops-a-rank",
        *QUICK, PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 3, ran.err
    rows = mpich.rows()
    assert {row.dtype for row in rows} == {"bfloat16", "float16", "int32"}
    assert all("rank 1 is missing" in row.reason for row in rows), "in every type"


def test_small_and_large_messages_are_proven_alike(mpich: Mpi) -> None:
    """Large messages share their memory between slots: calls that are one or two apart still have different data."""
    names = ("two-late", "drops-a-rank", "writes-past-the-end")
    ran = mpich.run(
        "sweep", "--ranks", "2", "--sizes", "4K,2M", "--backend", ",".join(names), *QUICK, PYTHONPATH=str(BROKEN)
    )
    assert ran.code == 3, ran.err
    assert {(row.backend, row.bytes, row.status) for row in mpich.rows()} == {
        (name, size, "wrong") for name in names for size in (4 << 10, 2 << 20)
    }


def test_no_backend_gains_from_data_that_never_changes(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "2", "--sizes", "4K,2M", "--backend", "skips-unchanged", *QUICK, PYTHONPATH=str(BROKEN)
    )
    assert ran.code == 0, ran.err
    rows = mpich.rows()
    assert {row.bytes for row in rows} == {4 << 10, 2 << 20}
    assert {row.param["skipped"] for row in rows} == {"0"}, (
        "of two calls, one after the other, both have inputs of their own"
    )


def test_without_verification_nothing_is_claimed(mpich: Mpi) -> None:
    ran = mpich.run(
        "sweep", "--ranks", "2", "--sizes", "4K", "--backend", "drops-a-rank", "--no-verify", *QUICK,
        PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 0
    (row,) = mpich.rows()
    assert row.status == "ok"
    assert row.wrong is None
    assert row.error_units is None
