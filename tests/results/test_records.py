"""Results on disk: the schema, what is no results file, and files that are never lost or mixed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import a_file_with, a_record, untimed

from collbench.errors import UsageError
from collbench.results.files import ResultFile
from collbench.results.records import COLUMNS, Record, dump, load, load_all, parse, select

HERE = Path("r.csv")
SCHEMA = (
    "run_id,launch,collective,backend,dtype,op,bytes,count,ranks,nodes,gpus_per_node,fabric,mode,in_place,params,status,"
    "reason,samples,warmups,"
    "latency_us_median,latency_us_ci_low,latency_us_ci_high,latency_us_mean,latency_us_min,latency_us_p05,"
    "latency_us_p95,latency_us_p99,latency_us_max,"
    "algbw_gb_s,busbw_gb_s,wire_bytes,bound_us,error_units,wrong"
)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=9)
WHOLE = st.integers(0, 1 << 50)
NUMBER = st.floats(allow_nan=False)
KINDS = {"str": WORDS, "int": WHOLE, "bool": st.booleans(), "float": NUMBER}
FIELDS: dict[str, Any] = {
    name: st.one_of(*(st.none() if kind == "None" else KINDS[kind] for kind in str(annotation).split(" | ")))
    for name, annotation in Record.__annotations__.items()
}
RECORDS = st.lists(st.builds(Record, **FIELDS), max_size=4)


def test_the_schema_is_the_one_in_the_design() -> None:
    assert ",".join(COLUMNS) == SCHEMA
    assert dump(()) == SCHEMA + "\n"


def test_a_row_shows_full_precision_and_leaves_out_what_is_missing() -> None:
    record = untimed("ok", bytes=4, op="", gpus_per_node=None, bound_us=1 / 3, latency_us_mean=1e-7, in_place=True)
    assert dump([record], header=False) == (
        "20260102T030405-here,0,all_reduce,mpi,float32,,4,1024,4,1,,shm,chain,true,cache=hot,ok,,,10,"
        ",,,1e-07,9.0,9.5,11.0,12.0,13.0,,,,0.3333333333333333,,0\n"
    )


@settings(deadline=None, max_examples=60)
@given(RECORDS)
def test_what_is_written_reads_back_the_same(records: list[Record]) -> None:
    assert parse(dump(records), HERE) == records


@pytest.mark.parametrize("status", ["ok", "wrong", "failed", "skipped", "timeout"])
@pytest.mark.parametrize("reason", ["", 'said "no", twice', "first line\nsecond line", "µs × ÷ 中", " spaces "])
def test_reasons_survive_the_disk(status: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = [untimed(status, reason), a_record()]
    path.write_text(dump(records), encoding="utf-8")
    assert load(path) == records


# A library's progress, say, in which a bare \r would read as the end of a line.
@pytest.mark.parametrize("reason", ["one\rtwo", "one\r\ntwo", "\r"])
def test_a_carriage_return_in_a_reason_does_not_spoil_the_file(reason: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    file = ResultFile.create(path, force=False)
    file.append(untimed("failed", reason))
    file.append(a_record())
    assert [record.reason.split() for record in load(path)] == [reason.split(), []]
    assert load(path)[1] == a_record()


def test_columns_are_found_by_name() -> None:
    head, row = dump([a_record()]).splitlines()
    backwards = [",".join(reversed(line.split(","))) + "\n" for line in (head, row)]
    assert parse("".join(backwards), HERE) == [a_record()]


def test_several_files_are_read_one_after_another(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(dump([a_record(launch=number)]), encoding="utf-8")
    assert [r.launch for r in load_all(tmp_path / f"{number}.csv" for number in (2, 0, 1))] == [2, 0, 1]


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


def test_params_are_taken_apart() -> None:
    assert a_record(params="cache=cold;kernel=a=b;odd").param == {"cache": "cold", "kernel": "a=b"}
    assert a_record(params="").param == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "r.csv is empty: .* run the sweep again"),
        ("size,time\n8,9.5\n", "r.csv is not a results file of collbench: it has no column 'run_id'"),
        ("\n", "not a results file"),
        (SCHEMA.replace(",busbw_gb_s", "") + "\n", "no column 'busbw_gb_s'"),
        (SCHEMA[:-3], "no column 'wrong'"),
        (SCHEMA + ",energy_j\n", "written by a newer collbench: column 'energy_j' is unknown; upgrade"),
        (a_file_with(bytes="4K"), r"r.csv, line 2: a cell is not valid .*'4K'"),
        (a_file_with(latency_us_median="fast"), "line 2: a cell is not valid .*fast"),
        (a_file_with(in_place="maybe"), "line 2: a cell is not valid .*maybe"),
        (a_file_with(ranks=""), "line 2: a cell is not valid"),
        (dump([a_record()]) + "1,2\n" + dump([a_record()], header=False), "line 3: the row has 2 cells, the header"),
        (dump([a_record()])[:-1], "line 2: the last row is truncated; .*--resume -o r.csv"),
        (dump([a_record(), a_record()])[:-150], "line 3: the last row is truncated"),
    ],
)
def test_what_is_not_a_results_file_is_explained(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(text, HERE)


def test_a_foreign_file_with_a_long_line_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"r\.csv"):
        parse("x" * 200_000, HERE)


def test_a_row_with_too_many_cells_is_a_usage_error() -> None:
    row = dump([a_record()], header=False)
    with pytest.raises(UsageError, match="line 2"):
        parse(dump(()) + row.replace("\n", ",7\n") + row, HERE)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00\x01"])
def test_files_that_cannot_be_read_are_explained(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"r\.csv (does not exist|cannot be read)"):
        load(path)


def test_a_folder_is_no_results_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read as a results file"):
        load(tmp_path)
