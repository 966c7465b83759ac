"""The option ``--skew``: what it makes of the mode, what it refuses, and a sweep of late ranks from end to end."""

from __future__ import annotations

import json

import pytest
from running import Here, Mpi


@pytest.mark.parametrize("mode", [(), ("--mode", "isolated")])
def test_skews_are_of_single_calls(mode: tuple[str, ...], here: Here) -> None:
    ran = here("sweep", "--dry-run", "--ranks", "2", "--sizes", "4K", "--backend", "mpi", "--skew", "20us,1,0,5us",
               *mode, "--json")  # fmt: skip
    assert [(fact["mode"], fact["skew"]) for fact in json.loads(ran.out)] == [
        ("isolated", "0"), ("isolated", "5us"), ("isolated", "20us:1"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["chain", "isolated,throughput"])
def test_a_sample_of_many_calls_has_no_skew(mode: str, here: Here) -> None:
    ran = here("sweep", "--dry-run", "--backend", "mpi", "--skew", "20us", "--mode", mode)
    words = f"a sample of mode {mode.rsplit(',', maxsplit=1)[-1]} has many; use --mode isolated."
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert words in ran.err


def test_pairs_of_hosts_arrive_together(here: Here) -> None:
    ran = here("sweep", "--dry-run", "--pairs", "--backend", "mpi", "--skew", "20us")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "--pairs compares hosts by ranks that arrive together; omit --skew." in ran.err


def test_a_skew_without_a_unit_is_refused(here: Here) -> None:
    ran = here("sweep", "--skew", "20")
    assert ran.code == 2
    assert "'20' is not a skew; skews look like 0,5us,20us" in ran.err


def test_late_ranks_are_timed_and_proven_from_end_to_end(mpich: Mpi) -> None:
    words = ("sweep", "--backend", "mpi", "--collective", "all_reduce,broadcast", "--sizes", "4K", "--samples", "3",
             "--warmup", "1", "--max-seconds", "0.02", "--skew", "0,1ms,40ms:1,9us:2", "-o", "r.csv")  # fmt: skip
    ran = mpich.run(*words, ranks=2)
    assert ran.code == 0, ran.err
    rows = {(row.collective, row.skew): row for row in mpich.rows()}
    assert {key: row.status for key, row in rows.items()} == {
        (name, skew): "skipped" if skew == "9us:2" else "ok"
        for name in ("all_reduce", "broadcast")
        for skew in ("0", "1000us", "40000us:1", "9us:2")
    }
    for name in ("all_reduce", "broadcast"):
        late = rows[name, "40000us:1"]
        assert (late.first_us_median or 0) > 20_000, "the other rank waits, unless it is late by half as much itself"
    assert all((row.first_us_median or 0) >= (row.latency_us_median or 0) for row in rows.values())
    assert {row.wrong for row in rows.values() if row.status == "ok"} == {0}
    assert "all_reduce float32 4 KiB skew 40000us:1 on 2 ranks" in ran.err
    again = mpich.run(*words, "--resume", ranks=2)
    assert again.code == 0, again.err
    assert len(mpich.rows()) == 8, "nothing is repeated"
