"""Replays in numbers: sums, differences and their causes, by hand."""

from __future__ import annotations

from dataclasses import replace

from replayed import a_launch, a_row

from collbench.printer.plain import plain_page
from collbench.results.replays import CHAIN, COMMUNICATION, SKEWED, WITHOUT
from collbench.views.replay_sums import summaries
from collbench.views.replays import data, page


def test_with_compute_what_is_beyond_both_is_a_number() -> None:
    (found,) = summaries(a_launch(0, "nvrar", 370.0, 5.0, "gemm"))
    assert (found.step_us, found.compute_us, found.beyond_us) == (1300.0, 900.0, 30.0)
    shown = plain_page(page(a_launch(0, "nvrar", 370.0, 5.0, "gemm")))
    assert "with compute  compute alone  beyond both" in shown
    (line,) = (line for line in shown.splitlines() if line.split()[:2] == ["nvrar", "370.0"])
    assert line.split() == ["nvrar", "370.0", "365.0", "+1.4", "%", "1,300", "900.0", "30.00"]


def test_where_the_difference_is_large_its_collective_is_named() -> None:
    rows = a_launch(0, "nccl", 500.0, 5.0)
    slow = [
        replace(row, us_median=100.0) if (row.part, row.collective) == (WITHOUT, "all_reduce") else row for row in rows
    ]
    text = plain_page(page(slow))
    assert "- nccl: all_reduce of 64 KiB takes 75.00 µs more in the pass than in a chain" in text
    assert "takes 75" not in plain_page(page(a_launch(0, "nccl", 370.0, 5.0)))


def test_sends_of_several_stages_are_one_line() -> None:
    rows = [
        a_row(us_median=100.0),
        *(
            a_row(part=CHAIN, collective="send", what="hidden states", bytes=64, group_ranks=2, stage=stage, count=2,
                  ran_by="mpi", us_median=us)
            for stage, us in ((1, 10.0), (2, 20.0))
        ),
    ]  # fmt: skip
    (found,) = summaries(rows)
    (part,) = found.parts
    assert (part.count, part.us, part.sum_us, found.sum_us) == (4, 15.0, 60.0, 60.0)
    shown = plain_page(page(rows))
    assert "in a chain of sends they follow one another" in shown
    assert "run by: another backend" in shown


def test_a_backend_without_a_time_has_its_reason() -> None:
    rows = [*a_launch(0, "nccl", 370.0, 5.0), a_row(status="wrong", reason="rank 0: stale", wrong=7)]
    good, bad = summaries(rows)
    assert (good.problem, bad.problem) == ("", f"{COMMUNICATION} wrong: rank 0: stale")
    assert (bad.communication_us, bad.launches, bad.parts) == (None, 0, ())
    assert f"- nvrar: {COMMUNICATION} wrong: rank 0: stale" in plain_page(page(rows))


def test_settings_have_tables_of_their_own_and_json_has_all() -> None:
    rows = [*a_launch(0, "nvrar", 370.0, 5.0), *a_launch(1, "nvrar", 370.0, 5.0, "gemm")]
    assert len(page(rows).tables) == 4
    plain, with_compute = data(rows)
    assert (plain["compute"], with_compute["compute"], with_compute["spec"]) == ("none", "gemm", rows[0].spec)


def test_nothing_is_nothing() -> None:
    assert not page([])
    assert data([]) == []


def test_late_ranks_have_a_table() -> None:
    rows = [a_row(us_median=100.0)]
    for skew, us, first, last in (("0", 130.0, 0.0, 0.0), ("20us", 400.0, 80.0, 250.0)):
        rows.append(a_row(part=SKEWED, skew=skew, us_median=us, first_late_us=first, last_late_us=last))
    shown = plain_page(page(rows))
    (line,) = (line for line in shown.splitlines() if line.split()[:2] == ["nvrar", "20us"])
    assert line.split() == ["nvrar", "20us", "100.0", "120.0", "290.0"]


def test_answers_that_memory_does_not_hold_are_counted() -> None:
    rows = [
        replace(row, answers=9) if row.collective == "all_reduce" else row for row in a_launch(0, "nccl", 370.0, 5.0)
    ]
    text = "- nccl: memory holds 9 of 65 answers of all_reduce of 64 KiB, the last ones"
    assert text in plain_page(page(rows))
    assert "memory holds" not in plain_page(page(a_launch(0, "nccl", 370.0, 5.0)))
