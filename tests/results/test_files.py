"""Results files: rows and samples are appended, kept, resumed, and never overwritten without --force."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from samples import a_file_with, a_record, untimed

from collbench.errors import UsageError
from collbench.results.files import ResultFile, load_samples, renew, samples_path, sidecar_path
from collbench.results.records import ADDED_LATER, Record, dump, load


def rows_of(path: Path) -> list[list[str]]:
    """Cells of the rows below the header of a file without quotes."""
    return [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def test_rows_and_numbered_samples_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "r.csv"
    file = ResultFile.create(path, force=False)
    records = [a_record(), untimed("skipped", "no GPU", launch=2), a_record(launch=1)]
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
    sidecar_path(path).write_text('{"launches": []}')
    assert ResultFile.create(path, force=True).rows == 0
    assert (load(path), rows_of(samples_path(path)), sidecar_path(path).exists()) == ([], [], False)


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
def test_a_path_that_cannot_be_written_is_explained(force: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: .*; give another path"):
        ResultFile.create(tmp_path / "file" / "r.csv", force)


def a_run(path: Path, rows: int) -> list[Record]:
    """A finished file with two samples a row."""
    file = ResultFile.create(path, force=False)
    records = [a_record(launch=launch, reason="two\nlines") for launch in range(rows)]
    for record in records:
        file.append(record, [1.0, 2.0])
    return records


def test_resume_continues_after_the_last_row(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = a_run(path, 2)
    before = path.read_bytes()
    file, finished = ResultFile.resume(path)
    assert (finished, file.rows, path.read_bytes()) == (records, 2, before)
    file.append(a_record(launch=9), [5.0])
    assert load(path) == [*records, a_record(launch=9)]
    assert rows_of(samples_path(path))[-1] == ["2", "0", "5.000"]


def test_resume_adds_the_columns_that_an_earlier_version_did_not_write(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = a_run(path, 2)
    now, gone = path.read_text(encoding="utf-8"), f",{','.join(ADDED_LATER)}"
    path.write_text(now.replace(gone, "").replace(f",0{',' * len(ADDED_LATER)}\n", ",0\n"), encoding="utf-8")
    assert gone not in path.read_text(encoding="utf-8")
    assert renew(path) == records
    assert path.read_text(encoding="utf-8") == now
    ResultFile.resume(path)[0].append(a_record(launch=9, slowest_rank=1), [5.0])
    assert load(path) == [*records, a_record(launch=9, slowest_rank=1)]


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


@pytest.mark.parametrize("lost", [5, None])
def test_resume_drops_the_samples_of_rows_that_are_not_there(lost: int | None, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    records = a_run(path, 2)
    path.write_text(dump(records)[:-lost] if lost else dump(records[:1]), encoding="utf-8")
    ResultFile.resume(path)[0].append(a_record(), [7.0])
    assert [row for row in rows_of(samples_path(path)) if row[0] == "1"] == [["1", "0", "7.000"]]


@pytest.mark.parametrize("line", ["progress: 3 %", "1,2", "one,0,9.5", "0,0,nan", "0,0,-1", "\udcff"])
def test_a_stray_line_among_the_samples_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    a_run(path, 2)
    with samples_path(path).open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{line}\n")
    before = samples_path(path).read_bytes()
    for read in (load_samples, ResultFile.resume):
        with pytest.raises(UsageError, match=r"r\.samples\.csv(, line 6: .* is not a sample; remove| cannot be read)"):
            read(path)
    assert samples_path(path).read_bytes() == before


@pytest.mark.parametrize("text", ["", "size,time\n8,9.5\n", dump(())[:-1] + ",energy_j\n", a_file_with(bytes="4K")])
def test_resume_leaves_what_it_cannot_read_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"r\.csv"):
        ResultFile.resume(path)
    assert path.read_text() == text


def test_resume_of_an_unreadable_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match=r"r\.csv"):
        ResultFile.resume(path)


def test_a_launch_that_is_not_complete_leaves_a_note(tmp_path: Path) -> None:
    path, note = tmp_path / "r.csv", tmp_path / "r.doing"
    file = ResultFile.create(path, force=False)
    file.start()
    assert note.read_text() == ""
    file.begin([a_record(status="failed")])
    file.append(a_record())
    assert note.read_text() == "", "it is at no case, but not at its end"
    again, rows = ResultFile.resume(path)
    assert (again.retried, len(rows)) == (frozenset(), 1)
    file.end()
    assert not note.exists()
