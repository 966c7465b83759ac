"""Results on disk: the schema, what is no results file, and files that are never lost or mixed up."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from samples import RECORDS, a_file_with, a_record, timed, untimed

import collbench as cb
from collbench.errors import UsageError
from collbench.results.files import ResultFile
from collbench.results.records import COLUMNS, JOB, TYPES, Record, dump, load, load_all, parse

HERE = Path("r.csv")
SCHEMA = (
    "run_id,launch,collective,backend,dtype,op,bytes,count,ranks,nodes,gpus_per_node,fabric,mode,in_place,params,status,"
    "reason,samples,warmups,"
    "latency_us_median,latency_us_ci_low,latency_us_ci_high,latency_us_mean,latency_us_min,latency_us_p05,"
    "latency_us_p95,latency_us_p99,latency_us_max,"
    "algbw_gb_s,busbw_gb_s,wire_bytes,bound_us,error_units,wrong"
)
LATER = ",slowest_rank,slowest_host,slowest_share,slowest_ratio,pair,hidden,groups,skew,first_us_median"


def test_the_schema_is_the_one_in_the_design() -> None:
    assert ",".join(COLUMNS) == SCHEMA + LATER
    assert dump(()) == SCHEMA + LATER + "\n"


def test_columns_that_came_later_may_be_missing_and_are_then_empty() -> None:
    slow = a_record(slowest_rank=3, slowest_host="node2", slowest_share=0.9, slowest_ratio=1.25,
                    pair="node1+node2", hidden=64, groups=2, skew="20us", first_us_median=19.5)  # fmt: skip
    earlier = "".join(line.removesuffix(",3,node2,0.9,1.25,node1+node2,64,2,20us,19.5").removesuffix(LATER) + "\n"
                      for line in dump([slow]).splitlines())  # fmt: skip
    assert earlier.splitlines()[0] == SCHEMA
    assert parse(earlier, HERE) == [a_record()]
    assert parse(dump([slow]), HERE) == [slow]
    for column in LATER.split(",")[1:]:  # each alone: one that came later still
        table = pd.read_csv(StringIO(dump([slow])), dtype=str).drop(columns=column).fillna("")
        assert parse(table.to_csv(index=False), HERE) == [replace(slow, **{column: getattr(a_record(), column)})]


def test_a_row_shows_full_precision_and_leaves_out_what_is_missing() -> None:
    record = untimed("ok", bytes=4, op="", gpus_per_node=None, bound_us=1 / 3, latency_us_mean=1e-7, in_place=True)
    assert dump([record], header=False) == (
        "20260102T030405-here,0,all_reduce,mpi,float32,,4,1024,4,1,,shm,chain,true,cache=hot,ok,,,10,"
        ",,,1e-07,9.0,9.5,11.0,12.0,13.0,,,,0.3333333333333333,,0,,,,,,,,,\n"
    )


@settings(deadline=None, max_examples=60)
@given(RECORDS)
def test_what_is_written_reads_back_the_same(records: list[Record]) -> None:
    assert parse(dump(records), HERE) == records


@pytest.mark.parametrize("status", ["ok", "wrong", "failed", "skipped", "timeout"])
@pytest.mark.parametrize("reason", ["", 'said "no", twice', "first line\nsecond line", "µs × ÷ 中", " spaces "])
def test_reasons_survive_the_disk(status: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = [untimed(status, reason), a_record(launch=1)]
    path.write_text(dump(records), encoding="utf-8")
    assert load(path) == records


# A library's progress, say, in which a bare \r would read as the end of a line.
@pytest.mark.parametrize("reason", ["one\rtwo", "one\r\ntwo", "\r"])
def test_a_carriage_return_in_a_reason_does_not_spoil_the_file(reason: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    file = ResultFile.create(path, force=False)
    file.append(untimed("failed", reason))
    file.append(a_record(launch=1))
    assert [record.reason.split() for record in load(path)] == [reason.split(), []]
    assert load(path)[1] == a_record(launch=1)


def test_columns_are_found_by_name() -> None:
    head, row = dump([a_record()]).splitlines()
    backwards = [",".join(reversed(line.split(","))) + "\n" for line in (head, row)]
    assert parse("".join(backwards), HERE) == [a_record()]


def test_several_files_are_read_one_after_another(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(dump([a_record(launch=number)]), encoding="utf-8")
    assert [r.launch for r in load_all(tmp_path / f"{number}.csv" for number in (2, 0, 1))] == [2, 0, 1]


def test_params_are_taken_apart() -> None:
    assert a_record(params="cache=cold;kernel=a=b;odd").param == {"cache": "cold", "kernel": "a=b"}
    assert a_record(params="").param == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "r.csv is empty: .* run the sweep again"),
        (
            "size,time\n8,9.5\n",
            "r.csv is not a results file of collbench: it has no column 'run_id'; "
            "collbench import reads those of other tools",
        ),
        ("\n", "not a results file"),
        (SCHEMA.replace(",busbw_gb_s", "") + "\n", "no column 'busbw_gb_s'"),
        (SCHEMA[:-3], "no column 'wrong'"),
        (SCHEMA + ",energy_j\n", "written by a newer collbench: column 'energy_j' is unknown; upgrade"),
        (a_file_with(bytes="4K"), "r.csv, line 2, column bytes: '4K' is not a whole number; fix or remove the row"),
        (a_file_with(latency_us_median="fast"), "line 2, column latency_us_median: 'fast' is not a number"),
        (a_file_with(latency_us_median="9,5"), "line 2: the row has 44 cells"),
        (a_file_with(bytes="4096.5"), "line 2, column bytes: '4096.5' is not a whole number"),
        (a_file_with(bytes="4_096"), "line 2, column bytes: '4_096' is not a whole number"),
        (a_file_with(bytes="1e300"), "line 2, column bytes: '1e300' is not a whole number"),
        (a_file_with(in_place="maybe"), "line 2, column in_place: 'maybe' is not true or false"),
        (a_file_with(ranks=""), "line 2, column ranks: '' is not a whole number"),
        (dump([a_record()]).replace(",", ";"), "r.csv has semicolons between its cells, .*; save it with commas"),
        (dump([a_record()]).replace(",", "\t"), "r.csv has tabs between its cells"),
        (dump([a_record()]) + "1,2\n" + dump([a_record()], header=False), "line 3: the row has 2 cells, the header"),
        (dump([a_record()])[:-1], "line 2: the last row is truncated; .*--resume -o r.csv"),
        (dump([a_record(), a_record(launch=1)])[:-150], "line 3: the last row is truncated"),
    ],
)
def test_what_is_not_a_results_file_is_explained(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse(text, HERE)


LATENCY = "latency_us_median"


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "0", "0.0", "-9.5"])
@pytest.mark.parametrize("column", [LATENCY, "latency_us_p95", "bound_us", "algbw_gb_s"])
def test_a_number_that_is_none_or_impossible_is_refused(text: str, column: str) -> None:
    cells = {"latency_us_ci_low": "", "latency_us_ci_high": "", column: text}
    with pytest.raises(UsageError, match=rf"r\.csv, line 2, column {column}: .* is (not a number|impossible)"):
        parse(a_file_with(**cells), HERE)


@pytest.mark.parametrize("column", ["ranks", "nodes", "gpus_per_node", "bytes"])
def test_no_count_of_what_ran_is_zero(column: str) -> None:
    with pytest.raises(UsageError, match=rf"line 2, column {column}: 0 is impossible, it is above 0"):
        parse(a_file_with(**{column: "0"}), HERE)


@pytest.mark.parametrize("column", ["launch", "count", "samples", "warmups", "wrong", "error_units", "busbw_gb_s"])
def test_no_count_is_negative_and_some_may_be_zero(column: str) -> None:
    assert len(parse(a_file_with(**{column: "0"}), HERE)) == 1
    with pytest.raises(UsageError, match=f"column {column}: -1.* is impossible, it is at least 0"):
        parse(a_file_with(**{column: "-1"}), HERE)


@pytest.mark.parametrize("cells", [{"latency_us_ci_low": "10.01"}, {"latency_us_ci_high": "9.99"}])
def test_an_interval_contains_its_median(cells: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"column {next(iter(cells))}: .* (above|below) the median, 10.0"):
        parse(a_file_with(**cells), HERE)


@pytest.mark.parametrize(
    ("skew", "words"), [("late", "'late' is not a skew such as 20us or 20us:3"), ("0.02ms", "'0.02ms' is written 20us")]
)
def test_a_skew_has_one_text(skew: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"line 2, column skew: {words}; fix or remove the row"):
        parse(a_file_with(skew=skew), HERE)


@pytest.mark.parametrize("changes", [{}, {"run_id": "of another run", "latency_us_median": 9.95}])
def test_a_launch_of_a_case_stands_there_once(changes: dict[str, object]) -> None:
    text = dump([a_record(), a_record(launch=1, reason="two\nlines"), a_record(**changes)])
    with pytest.raises(
        UsageError,
        match=r"r\.csv, lines 2 and 5: launch 0 of mpi all_reduce float32 sum 4 KiB, 4 ranks on 1 node, chain",
    ):
        parse(text, HERE)


def test_skews_are_cases_of_their_own() -> None:
    rows = [a_record(mode="isolated", skew=skew) for skew in ("", "0", "20us", "20us:3")]
    assert parse(dump(rows), HERE) == rows
    with pytest.raises(UsageError, match=r"4 KiB, 4 ranks on 1 node, isolated skew 20us, is there twice"):
        parse(dump([*rows, rows[2]]), HERE)


def test_jobs_may_share_a_launch() -> None:
    rows = [a_record(backend=JOB, bytes=0, reason=f"job {number}") for number in (7, 8)]
    assert parse(dump(rows), HERE) == rows


TOUCHED = [timed(9.0), untimed("skipped", "no GPU", backend="nccl", op="", gpus_per_node=None)]


@pytest.mark.parametrize(
    "touch",
    [
        lambda text: f"\ufeff{text}",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n") + "\n\n",
        lambda text: text + "," * (len(COLUMNS) - 1) + "\n",
        lambda text: text.replace("false", "False").replace(",20,10,", ",20.0,10.0,"),
        lambda text: text.replace("false", "FALSE"),
    ],
    ids=["BOM", "CRLF", "blank lines", "empty cells", "pandas", "spreadsheet"],
)
def test_what_people_and_spreadsheets_touch_is_read(touch: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(touch(dump(TOUCHED)).encode())
    assert load(tmp_path / "r.csv") == TOUCHED


@pytest.mark.parametrize("name", ["h200x4-wrong", "cpu-4ranks", "h200x4-modes"])
@pytest.mark.parametrize("index", [False, True])
def test_a_round_trip_through_pandas_reads_to_the_same_records(name: str, index: bool, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "results" / f"{name}.csv"
    pd.read_csv(path).to_csv(tmp_path / "r.csv", index=index)
    found, wanted = load(tmp_path / "r.csv"), load(path)
    assert [str(row)[:250] for row in found] == [str(row)[:250] for row in wanted]
    for column in COLUMNS:  # older releases of pandas read a float to all but its last digit
        ours, theirs = ([getattr(row, column) or 0 for row in rows] for rows in (wanted, found))
        assert theirs == (pytest.approx(ours, rel=1e-14) if TYPES[column][0] is float else ours)


def test_a_frame_that_is_written_is_a_results_file(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(TOUCHED))
    cb.read(tmp_path / "r.csv", sidecar=True).to_csv(tmp_path / "new.csv")
    assert load(tmp_path / "new.csv") == TOUCHED


# Samples files, which results/*.csv names too


def test_samples_are_left_out_beside_their_results_file(tmp_path: Path) -> None:
    one, samples = tmp_path / "r.csv", tmp_path / "r.samples.csv"
    one.write_text(dump([a_record()]))
    samples.write_text("row,sample,latency_us\n0,0,9.5\n")
    assert load_all([samples, one, one]) == {a_record(): one}
    for read in (load, lambda path: load_all([path]), cb.read):
        with pytest.raises(UsageError, match=r"r\.samples\.csv holds the samples of a run; give .*r\.csv"):
            read(samples)
    assert len(cb.read(one, str(samples))) == 1


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


def test_a_compressed_results_file_is_refused_as_one(tmp_path: Path) -> None:
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(b"run_id\n"))
    with pytest.raises(UsageError, match=r"r\.csv\.gz is compressed; unpack it\.$"):
        load(tmp_path / "r.csv.gz")


def test_a_folder_is_no_results_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read as a results file"):
        load(tmp_path)
