"""Heartbeats: what is written is read, cut where it is long, and a rank that stopped differs from one that waits."""

from __future__ import annotations

import mmap

from collbench.ranks.heartbeats import Heartbeat, Heartbeats, silent


def of_ranks(*ranks: int) -> Heartbeats:
    return Heartbeats(ranks, mmap.mmap(-1, 2048 * len(ranks)))


def test_each_rank_has_its_slot() -> None:
    beats = of_ranks(4, 5, 6)
    one = Heartbeat(5, 12.5, "timing: mpi all_reduce", "reduce (a.py:7)", "failed", "rank 5 raised ValueError: ×")
    beats.write(one)
    assert beats.read() == [Heartbeat(4), one, Heartbeat(6)]
    beats.write(Heartbeat(5, 13.0, "between cases"))
    assert beats.read()[1] == Heartbeat(5, 13.0, "between cases")


def test_long_texts_stay_in_the_slot() -> None:
    beats = of_ranks(0, 1)
    beats.write(Heartbeat(1, 1.0, "kept"))
    beats.write(Heartbeat(0, 1.0, "×" * 5000, "y" * 5000, "failed", "z" * 5000))
    first, second = beats.read()
    assert second == Heartbeat(1, 1.0, "kept")
    assert first.reason == "z" * 500


def test_who_was_never_alive_is_not_silent() -> None:
    beats = [Heartbeat(0, 99.0), Heartbeat(1, 90.0), Heartbeat(2, 0.0)]
    assert [beat.rank for beat in silent(beats, 100.0, 5.0)] == [1]
