"""Tables and conclusions of cases whose ranks arrive late, and how they differ from the others."""

from __future__ import annotations

from typing import Any

from samples import a_record, timed, untimed

from collbench.printer.plain import plain_page
from collbench.results.cases import cases
from collbench.results.records import Record
from collbench.views import ratios, skews, summary
from collbench.views.comparison import compare_backends, compare_files
from collbench.views.conclusions import conclusions


def late(us: float, skew: str, wait: float, **changes: Any) -> Record:
    """A row whose ranks arrive one after the other, ``wait`` from first to last."""
    together = {"mode": "isolated", "busbw_gb_s": None, "algbw_gb_s": None}
    return timed(us, skew=skew, first_us_median=us + wait, **{**together, **changes})


ROWS = [
    late(8, "100us", 60), late(10, "0", 1, launch=1), late(12, "0", 1), late(9, "5us", 3), late(7, "5us:2", 5),
    late(20, "5us", 3, backend="nccl"), late(6, "5us", 3, bytes=65536), late(5, "5us", 3, ranks=2),
]  # fmt: skip


def test_families_differ_in_size_backend_and_time_and_share_the_cases_without_delay() -> None:
    pairs, together = late(1, "5us", 3, pair="a+b"), a_record(mode="isolated")
    found = skews.families(cases([*ROWS, pairs, together]))
    named = [(group[0].record.ranks, skews.late_words(group), [case.record.skew for case in group]) for group in found]
    assert sorted(named) == [
        (2, "every rank late at random", ["5us"]),
        (4, "every rank late at random", ["0", "5us", "5us", "5us", "100us"]),
        (4, "rank 2 late", ["0", "5us:2"]),
    ]
    assert [skews.late_words(group) for group in skews.families(cases([late(9, "0", 1)]))] == [
        "every rank late at random"
    ]


def test_the_table_has_transfer_and_waiting_by_size_and_time() -> None:
    broken = untimed("failed", "broke", mode="isolated", skew="100us", backend="nccl")
    skipped = untimed("skipped", "no GPU", mode="isolated", skew="5us", backend="nvrar")
    table = next(each for each in skews.tables(cases([*ROWS, broken, skipped])) if "4 ranks" in each.title)
    assert table.title == "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · isolated · every rank late at random"
    assert table.cells == [
        ["size", "skew µs", "mpi last µs", "mpi first µs", "nccl last µs", "nccl first µs"],
        ["4 KiB", "0", "11.00", "12.00", "", ""],
        ["4 KiB", "5", "9.000", "12.00", "20.00", "23.00"],
        ["4 KiB", "100", "8.000", "68.00", "FAILED", ""],
        ["64 KiB", "5", "6.000", "9.000", "", ""],
    ]


def test_a_sweep_reports_late_ranks_apart() -> None:
    text = plain_page(summary.page([*ROWS, a_record(mode="isolated")]))
    assert text.count("every rank late at random") == 2
    assert text.count("busbw GB/s") == 1, "ranks that arrive together have a table of the usual kind"
    assert skews.READING in text
    assert skews.READING not in plain_page(summary.page([a_record()]))


def test_a_rank_that_no_world_has_makes_no_family() -> None:
    absent = untimed("skipped", "skew 5us:9 delays a rank that a world of 4 lacks", mode="isolated", skew="5us:9")
    found = skews.families(cases([late(9, "0", 1), absent]))
    assert [skews.late_words(group) for group in found] == ["every rank late at random"]
    text = plain_page(summary.page([absent]))
    assert skews.READING not in text
    assert "skipped ×1" in text


def test_a_comparison_names_the_skew_and_mixes_none() -> None:
    rows = [late(us, skew, 1, backend=name) for skew in ("100us", "20us") for name, us in (("mpi", 8), ("nccl", 4))]
    page = ratios.page(compare_backends(rows))
    assert [table.title.split(" · ")[-2:] for table in page.tables] == [
        ["skew 20us", "mpi ÷ nccl"], ["skew 100us", "mpi ÷ nccl"],
    ]  # fmt: skip
    assert [row["skew"] for row in ratios.plain(compare_backends(rows))] == ["100us", "20us"]
    plain = [timed(9, mode="isolated")]
    assert not compare_files(plain, [late(8, "0", 1)]).judged
    assert len(compare_files([late(9, "0", 1)], [late(8, "0", 1)]).judged) == 1


def test_conclusions_are_in_the_order_of_skews() -> None:
    rows = [late(us, skew, 1, backend=name) for skew in ("100us", "20us") for name, us in (("mpi", 8), ("nccl", 4))]
    assert [line.split(":")[0] for line in conclusions(rows)][:2] == ["skew 20us", "skew 100us"]
