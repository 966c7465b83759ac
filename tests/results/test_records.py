"""Results on disk: the schema, what is no results file, and files that are never lost or mixed up."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import a_layout, a_record, a_workload, untimed

from collbench.errors import UsageError
from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES
from collbench.plan.problem import Case, case_identity
from collbench.results.files import ResultFile, samples_path, sidecar_path
from collbench.results.records import COLUMNS, STATUSES, Record, dump, load, load_all, parse, select

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


def rows_of(path: Path) -> list[list[str]]:
    """Cells of the rows below the header of a file without quotes."""
    return [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


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


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("reason", ["", 'said "no", twice', "first line\nsecond line", "µs × ÷ 中", " spaces "])
def test_reasons_survive_the_disk(status: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = [untimed(status, reason), a_record()]
    path.write_text(dump(records), encoding="utf-8")
    assert load(path) == records


# turns it into a line end, so one such reason (a library's progress, say) makes the whole file unreadable. Quote cells
# with \r and read with newline="", or make reasons one line when a row is made.
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


def broken(**cells: str) -> str:
    """A file whose only row has these cells."""
    head, row = (line.split(",") for line in dump([a_record()]).splitlines())
    changed = [cells.get(name, cell) for name, cell in zip(head, row, strict=True)]
    return ",".join(head) + "\n" + ",".join(changed) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "r.csv is empty: .* run the sweep again"),
        ("size,time\n8,9.5\n", "r.csv is not a results file of collbench: it has no column 'run_id'"),
        ("\n", "not a results file"),
        (SCHEMA.replace(",busbw_gb_s", "") + "\n", "no column 'busbw_gb_s'"),
        (SCHEMA[:-3], "no column 'wrong'"),
        (SCHEMA + ",energy_j\n", "written by a newer collbench: column 'energy_j' is unknown here; upgrade"),
        (broken(bytes="4K"), r"r.csv, line 2: a cell does not parse .*'4K'"),
        (broken(latency_us_median="fast"), "line 2: a cell does not parse .*fast"),
        (broken(in_place="maybe"), "line 2: a cell does not parse .*maybe"),
        (broken(ranks=""), "line 2: a cell does not parse"),
        (dump([a_record()]) + "1,2\n" + dump([a_record()], header=False), "line 3: a cell does not parse"),
        (dump([a_record()])[:-1], "line 2: the last row is cut off; .*--resume -o r.csv"),
        (dump([a_record(), a_record()])[:-150], "line 3: the last row is cut off"),
    ],
)
def test_what_is_no_results_file_is_told_in_words(text: str, words: str) -> None:
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
def test_files_that_cannot_be_read_are_told_in_words(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"r\.csv (does not exist|cannot be read)"):
        load(path)


def test_a_folder_is_no_results_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read as a results file"):
        load(tmp_path)


def test_rows_and_numbered_samples_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "r.csv"
    file = ResultFile.create(path, force=False)
    records = [a_record(), untimed("skipped", "no GPU"), a_record(launch=1)]
    for record, samples in zip(records, [(1.25, 2.0), (), (3.0,)], strict=True):
        file.append(record, samples)
    assert load(path) == records
    assert samples_path(path).read_text() == "row,sample,latency_us\n0,0,1.250\n0,1,2.000\n2,0,3.000\n"


def test_a_row_is_on_the_disk_as_soon_as_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    file = ResultFile.create(path, force=False)
    assert load(path) == []
    file.append(a_record(), [1.0])
    assert load(path) == [a_record()]
    assert rows_of(samples_path(path)) == [["0", "0", "1.000"]]


def test_results_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    ResultFile.create(path, force=False).append(a_record(), [1.0])
    with pytest.raises(UsageError, match=r"r\.csv exists; give another -o, --resume .*--force"):
        ResultFile.create(path, force=False)
    assert load(path) == [a_record()]
    assert len(rows_of(samples_path(path))) == 1


def test_force_replaces_rows_samples_and_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    ResultFile.create(path, force=False).append(a_record(), [1.0])
    sidecar_path(path).write_text("{}")
    assert ResultFile.create(path, force=True).rows == 0
    assert (load(path), rows_of(samples_path(path)), sidecar_path(path).exists()) == ([], [], False)


# samples without their CSV are emptied, without --force.
@pytest.mark.parametrize("other", ["r.json", "r.samples.csv"])
def test_neither_sidecar_nor_samples_are_overwritten(other: str, tmp_path: Path) -> None:
    (tmp_path / other).write_text("precious")
    with contextlib.suppress(UsageError):
        ResultFile.create(tmp_path / "r.csv", force=False)
    assert (tmp_path / other).exists()
    assert (tmp_path / other).read_text() == "precious"


# -o run.1 and -o run.2 share samples and sidecar. Either refuse names that do not end in .csv or add to them.
@pytest.mark.parametrize("names", [("run.json",), ("run.1", "run.2")])
def test_the_files_of_runs_are_distinct(names: tuple[str, ...], tmp_path: Path) -> None:
    made: list[Path] = []
    for name in names:
        with contextlib.suppress(UsageError):
            path = ResultFile.create(tmp_path / name, force=False).path
            made += [path, samples_path(path), sidecar_path(path)]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("force", [False, True])
def test_a_path_that_cannot_be_written_is_told_in_words(force: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: .*; give another -o"):
        ResultFile.create(tmp_path / "file" / "r.csv", force)


def a_run(path: Path, rows: int) -> list[Record]:
    """A finished file with two samples a row."""
    file = ResultFile.create(path, force=False)
    records = [a_record(launch=launch, reason="two\nlines") for launch in range(rows)]
    for record in records:
        file.append(record, [1.0, 2.0])
    return records


def test_resume_goes_on_behind_the_last_row(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = a_run(path, 2)
    before = path.read_bytes()
    file, finished = ResultFile.resume(path)
    assert (finished, file.rows, path.read_bytes()) == (records, 2, before)
    file.append(a_record(launch=9), [5.0])
    assert load(path) == [*records, a_record(launch=9)]
    assert rows_of(samples_path(path))[-1] == ["2", "0", "5.000"]


def test_resume_drops_a_last_row_that_is_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = a_run(path, 3)
    whole, kept = dump(records), dump(records[:2])
    for length in range(len(kept) + 1, len(whole)):
        path.write_text(whole[:length], encoding="utf-8")
        file, finished = ResultFile.resume(path)
        assert (finished, file.rows) == (records[:2], 2)
        assert path.read_text(encoding="utf-8") == kept
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.csv", "r.samples.csv"]


# written, stay, and the row that takes its number has both.
@pytest.mark.parametrize("lost", [5, None])
def test_resume_drops_the_samples_of_rows_that_are_not_there(lost: int | None, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = a_run(path, 2)
    path.write_text(dump(records)[:-lost] if lost else dump(records[:1]), encoding="utf-8")
    ResultFile.resume(path)[0].append(a_record(), [7.0])
    assert [row for row in rows_of(samples_path(path)) if row[0] == "1"] == [["1", "0", "7.000"]]


@pytest.mark.parametrize("text", ["", "size,time\n8,9.5\n", SCHEMA + ",energy_j\n", broken(bytes="4K")])
def test_resume_leaves_what_it_cannot_read_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"r\.csv"):
        ResultFile.resume(path)
    assert path.read_text() == text


# a traceback here.
def test_resume_of_an_unreadable_file_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match=r"r\.csv"):
        ResultFile.resume(path)


def test_a_case_and_its_row_have_the_same_identity() -> None:
    assert case_identity(Case(a_workload(), "mpi")) == a_record().identity
    virtual = replace(a_workload(size=4099, cache="cold", in_place=True), layout=a_layout(4, nodes=2, virtual=True))
    row = a_record(nodes=2, gpus_per_node=2, fabric="shm-virtual", params="kernel=x;cache=cold", in_place=True)
    assert case_identity(Case(virtual, "mpi")) == row.identity


def test_a_message_too_small_for_an_element_is_known_by_its_size() -> None:
    tiny = [case_identity(Case(a_workload(size=size), "mpi")) for size in (1, 2)]
    assert tiny[0] != tiny[1]
    assert tiny[0] == untimed("skipped", bytes=1, count=0).identity


@pytest.mark.parametrize(
    "change",
    [
        {"layout": a_layout(2)}, {"layout": a_layout(4, nodes=2)}, {"layout": a_layout(4, virtual=True)},
        {"collective": COLLECTIVES["reduce_scatter"]}, {"dtype": DTYPES["int32"]}, {"op": "max"}, {"size": 8192},
        {"mode": "isolated"}, {"cache": "cold"}, {"in_place": True},
    ],
)  # fmt: skip
def test_every_choice_makes_another_case(change: dict[str, Any]) -> None:
    assert case_identity(Case(replace(a_workload(), **change), "mpi")) != case_identity(Case(a_workload(), "mpi"))


def test_the_backend_makes_another_case() -> None:
    assert case_identity(Case(a_workload(), "nccl")) != case_identity(Case(a_workload(), "mpi"))


def test_outcomes_make_no_other_case() -> None:
    other = untimed("failed", "broke", run_id="other", launch=3, params="kernel=x", fabric="tcp", wrong=1)
    assert other.identity == a_record().identity


def test_a_launch_that_is_not_complete_leaves_a_note(tmp_path: Path) -> None:
    path, note = tmp_path / "r.csv", tmp_path / "r.doing"
    file = ResultFile.create(path, force=False)
    file.start()
    assert note.read_text() == ""
    file.begin(a_record(status="failed"))
    file.append(a_record())
    assert note.read_text() == "", "it is at no case, but not at its end"
    again, rows = ResultFile.resume(path)
    assert (again.retried, len(rows)) == (None, 1)
    file.end()
    assert not note.exists()
