"""Tables and JSON: the right number in the right cell, and nothing hidden."""

from __future__ import annotations

import json

import pytest
from samples import timed, untimed
from shown import results

from collbench.printer.forms import Form
from collbench.results.cases import cases
from collbench.results.records import JOB, Record
from collbench.tables import show_us
from collbench.views.summary import latency_table, why_not


def reject(constant: str) -> None:
    """NaN and Infinity are no JSON."""
    raise AssertionError(constant)


def table_of(records: list[Record]) -> list[list[str]]:
    """The table of rows of one panel."""
    return latency_table(cases(records)).cells


def test_the_median_over_launches_is_shown() -> None:
    assert table_of([timed(us, launch=launch) for launch, us in enumerate((10.0, 40.0, 20.0))])[1][1] == show_us(20)


def test_a_table_has_a_row_a_size_and_a_column_a_backend() -> None:
    records = [
        timed(200.0, bytes=1 << 20, backend="nccl", busbw_gb_s=52.4),
        timed(100.0, bytes=4096, backend="nccl", busbw_gb_s=0.5),
        timed(300.0, bytes=1 << 20, backend="mpi", busbw_gb_s=35.0),
        timed(50.0, bytes=4096, backend="mpi", busbw_gb_s=0.25),
    ]
    assert table_of(records) == [
        ["size", "mpi µs", "nccl µs", "lowest median (1 launch: no verdict)", "busbw GB/s"],
        ["4 KiB", show_us(50), show_us(100), "mpi", "0.25"],
        ["1 MiB", show_us(300), show_us(200), "nccl", "52.4"],
    ]


@pytest.mark.parametrize(
    ("launches", "cell"),
    [
        ([untimed("wrong")], "WRONG"),
        ([untimed("failed")], "FAILED"),
        ([untimed("timeout")], "TIMEOUT"),
        ([untimed("skipped")], "skipped"),
        ([timed(400.0), untimed("wrong", launch=1)], "WRONG"),  # a right launch does not hide a wrong one
        ([untimed("skipped"), timed(400.0, launch=1)], "400"),
        ([], ""),
    ],
)
def test_a_cell_shows_its_status(launches: list[Record], cell: str) -> None:
    others = [timed(300.0, backend="other"), timed(500.0, bytes=8192)]
    table = table_of([*others, *launches])
    assert table[1][1].removesuffix(".0") == cell
    assert [row[0] for row in table[1:]] == ["4 KiB", "8 KiB"]


def test_what_is_skipped_throughout_is_no_row_and_no_column() -> None:
    skipped = [untimed("skipped", bytes=1, backend="mpi"), untimed("skipped", backend="nccl")]
    head, *rows = table_of([timed(400.0), *skipped])
    assert head == ["size", "mpi µs", "fastest", "busbw GB/s"]
    assert [row[:3] for row in rows] == [["4 KiB", show_us(400), "mpi"]]


def test_a_row_where_nothing_went_well_names_no_fastest() -> None:
    assert table_of([untimed("failed")])[1] == ["4 KiB", "FAILED", "", ""]


def test_the_fastest_is_the_one_with_the_lowest_median_and_stands_first() -> None:
    lucky = [timed(us, backend="lucky", launch=launch) for launch, us in enumerate((100.0, 300.0, 300.0))]
    steady = [timed(200.0, backend="steady", launch=launch) for launch in range(3)]
    assert table_of([*lucky, *steady])[1][:4] == ["4 KiB", show_us(300), show_us(200), "steady ≈ lucky"]


@pytest.mark.parametrize(
    ("us", "shown"),
    [
        ({"b": 200.0, "a": 200.2, "c": 300.0}, "b ≈ a"),
        ({"b": 200.0, "a": 200.0}, "a ≈ b"),
        ({"a": 200.0, "b": 200.2, "c": 200.3}, "a ≈ b ≈ c"),
        ({"a": 200.0, "b": 210.0}, "a"),
    ],
)
def test_what_cannot_be_told_from_the_fastest_stands_beside_it(us: dict[str, float], shown: str) -> None:
    records = [timed(each, backend=name, busbw_gb_s=each, launch=at) for name, each in us.items() for at in range(3)]
    assert table_of(records)[0][-2] == "fastest"
    assert table_of(records)[1][-2:] == [shown, f"{min(us.values()):.3g}"]


def test_sizes_with_too_few_launches_are_marked_beside_others() -> None:
    full = [timed(us, backend=name, launch=at) for name, us in (("a", 1.0), ("b", 2.0)) for at in range(3)]
    few = [timed(us, backend=name, bytes=8192) for name, us in (("a", 1.0), ("b", 2.0))]
    assert [row[-2] for row in table_of([*full, *few])] == ["fastest", "a", "? a"]
    *_, reading = results([*full, *few]).split("\n\n")
    assert reading.splitlines() == [
        "a ≈ b: another may be as fast (Student's t, for launches like these; 95 % for all 2 pairs of a table "
        "together, 97.50 % each).",
        "?: 1 launch: no verdict.",
    ]
    assert "?" not in results(few)


def test_a_backend_that_was_wrong_in_a_launch_is_not_the_fastest() -> None:
    records = [timed(100.0, backend="bad"), untimed("wrong", backend="bad", launch=1), timed(200.0, backend="good")]
    assert table_of(records)[1][:4] == ["4 KiB", "WRONG", show_us(200), "good"]


@pytest.mark.parametrize("busbw", [1234.5, 6.1e-5])
def test_bandwidths_are_shown_without_an_exponent(busbw: float) -> None:
    shown = table_of([timed(400.0, busbw_gb_s=busbw)])[1][-1]
    assert "e" not in shown
    assert float(shown.replace(",", "")) == pytest.approx(busbw, rel=0.02)


def test_reasons_are_counted() -> None:
    records = [
        untimed("skipped", "no GPU", backend="nccl", bytes=64),
        untimed("failed", "out of memory"),
        untimed("skipped", "no GPU", backend="nccl", bytes=128),
        timed(10.0, reason="clocks throttled: 3 times"),
        timed(10.0, reason="clocks throttled: once"),
        timed(10.0),
    ]
    assert why_not(records) == [
        "failed ×1: mpi: out of memory",
        "note ×2: mpi: clocks throttled",
        "skipped ×2: nccl: no GPU",
    ]


def test_a_job_that_did_not_finish_is_no_case_of_no_bytes() -> None:
    job = untimed("timeout", "job 7 of part: TIMEOUT", backend=JOB, bytes=0, collective="", dtype="", mode="")
    assert results([job, timed(9.0)]).splitlines()[-1] == "timeout ×1: job 7 of part: TIMEOUT"
    assert "GiB" not in results([job, timed(9.0)])


def test_a_reason_of_many_lines_is_shown_in_one() -> None:
    (line,) = why_not([untimed("failed", "Other MPI error, error stack:\nPMPI_Send(163): bad rank\n")])
    assert "error stack" in line


def test_every_panel_is_shown_and_then_why_cases_have_no_number() -> None:
    skipped = [untimed("skipped", "no GPU", backend="nccl"), untimed("skipped", "no in-place form", in_place=True)]
    records = [timed(400.0), timed(200.0, nodes=2, fabric="shm-virtual"), *skipped]
    one, one_table, two, two_table, reasons = results(records).split("\n\n")
    assert one == "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain"
    assert two == "all_reduce · float32 · sum · 4 ranks on 2 virtual nodes (shm-virtual) · chain"
    assert show_us(400) in one_table
    assert show_us(200) in two_table
    assert "──" in one_table
    assert reasons == "skipped ×1: mpi: no in-place form\nskipped ×1: nccl: no GPU"


def test_json_has_every_column_in_base_units_and_null_where_nothing_is() -> None:
    (shown,) = json.loads(results([timed(10.5, bound_us=None, in_place=True)], Form.JSON), parse_constant=reject)
    assert Record(**shown) == timed(10.5, bound_us=None, in_place=True)
    assert shown["bound_us"] is None


def test_json_never_has_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        results([timed(float("nan"))], Form.JSON)
