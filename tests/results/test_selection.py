"""Selection of rows by what a user writes after --only."""

from __future__ import annotations

import pytest
from samples import a_record

from collbench.errors import UsageError
from collbench.results.selection import select


def test_rows_are_selected_by_their_cells() -> None:
    records = [a_record(), a_record(in_place=True), a_record(in_place=True, ranks=8), a_record(gpus_per_node=None)]
    assert select(records, []) == records
    assert select(records, [("in_place", "true")]) == records[1:3]
    assert select(records, [("in_place", "true"), ("ranks", "8")]) == [records[2]]
    assert select(records, [("in_place", "true"), ("in_place", "false")]) == records
    assert select(records, [("gpus_per_node", "")]) == [records[3]]
    with pytest.raises(UsageError, match="no row has ranks=7"):
        select(records, [("ranks", "7")])
    with pytest.raises(UsageError, match="unknown column 'rank'; did you mean 'ranks'"):
        select([], [("rank", "8")])


@pytest.mark.parametrize(
    "condition",
    [("bytes", "4K"), ("bytes", "4 KiB"), ("bytes", "4096"), ("in_place", "False"), ("in_place", "FALSE"), ("op", ""),
     ("launch", "0.0"), ("latency_us_median", "10"), ("samples", "20")],
)  # fmt: skip
def test_values_may_be_written_in_any_form(condition: tuple[str, str]) -> None:
    record = a_record(op="")
    other = a_record(bytes=8, in_place=True, launch=7, latency_us_median=9.0, samples=None)
    assert select([record, other], [condition]) == [record]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (("in_place", "maybe"), "column in_place: 'maybe' is not true or false"),
        (("ranks", "four"), "column ranks: 'four' is not a whole number"),
        (("bytes", "4X"), "'4X' is not a valid size"),
    ],
)
def test_what_a_column_cannot_hold_is_a_usage_error(condition: tuple[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        select([a_record()], [condition])
