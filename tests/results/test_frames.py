"""Results as pandas DataFrames: the committed files for ever, types of columns, and the numbers of the commands."""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from samples import RECORDS, a_record, timed, untimed

import collbench as cb
from collbench.cli.main import cli
from collbench.results.files import sidecar_path
from collbench.results.frames import DTYPES, frame_of, records_of
from collbench.results.records import ADDED_LATER, COLUMNS, FACTS, JOB, Record, dump, load

ROOT = Path(__file__).parents[2]
# Rows of each committed file of schema 1, and how many of them have a latency.
COMMITTED = {
    "cpu-4ranks-kernels": (90, 90), "cpu-4ranks": (78, 78), "h200x2-graph-mixing-0": (135, 135),
    "h200x2-graph-mixing-1": (135, 135), "h200x4-modes": (405, 405), "h200x4-nvrar-layouts": (126, 126),
    "h200x4-nvrar-worlds": (180, 180), "h200x4-nvrar": (180, 180), "h200x4-tune-1": (140, 140),
    "h200x4-tune-2": (84, 84), "h200x4-worlds": (540, 540), "h200x4-wrong": (12, 9), "tcp-nodes": (135, 135),
}  # fmt: skip
FILES = [ROOT / "results" / f"{name}.csv" for name in COMMITTED]
LATER = json.loads((ROOT / "results" / "cpu-4ranks.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def committed() -> pd.DataFrame:
    """All committed results with what their sidecars say."""
    return cb.read(FILES, sidecar=True)


def written(path: Path, *records: Record) -> str:
    """The path of a results file of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump(records), encoding="utf-8")
    return str(path)


def of(frame: pd.DataFrame, **cells: object) -> pd.DataFrame:
    """The rows with these cells."""
    for name, value in cells.items():
        frame = frame[frame[name] == value]
    return frame


# Files of schema 1


def test_every_committed_file_is_read_whole(committed: pd.DataFrame) -> None:
    counts = committed.groupby("source").latency_us_median.agg(["size", "count"])
    assert {Path(str(path)).stem: (row["size"], row["count"]) for path, row in counts.iterrows()} == COMMITTED


def test_cells_are_those_of_the_files(committed: pd.DataFrame) -> None:
    case: dict[str, Any] = {"source": str(ROOT / "results" / "h200x4-nvrar.csv"), "backend": "nvrar", "bytes": 4096}
    launches = of(committed, **case)
    assert launches.launch.tolist() == [0, 1, 2]
    assert round(float(launches.latency_us_median.median()), 2) == 2.25
    (row,) = of(launches, launch=0).to_dict("records")
    assert (row["collective"], row["dtype"], row["op"], row["count"]) == ("all_reduce", "bfloat16", "sum", 2048)
    assert (row["ranks"], row["gpus_per_node"], row["fabric"], row["in_place"]) == (4, 4, "nvlink", False)
    assert (row["run_id"], row["cache"], row["case_status"]) == ("20261121T170648-vm", "hot", "ok")
    (wrong,) = of(committed, backend="nccl-symm", status="wrong").to_dict("records")
    assert (wrong["bytes"], wrong["wrong"], wrong["case_status"]) == (1000, 278, "wrong")
    assert pd.isna(wrong["latency_us_median"])
    assert pd.isna(wrong["samples"])


def test_sidecars_say_when_where_and_with_what(committed: pd.DataFrame) -> None:
    first = of(committed, source=str(ROOT / "results" / "h200x4-nvrar.csv"), launch=1).iloc[0]
    assert first["started"] == pd.Timestamp("2026-11-21T17:07:32", tz="UTC")
    assert (first["host"], first["gpu"], first["driver"]) == ("vm", "NVIDIA H200", "13.0")
    assert (first["nccl"], first["nvshmem"], first["git"]) == ("2.28.9", "3.4.5", "5fb1df351590+")
    hosts = of(committed, source=str(ROOT / "results" / "tcp-nodes.csv"))
    assert hosts.host.unique().tolist() == ["node1, node2, node3, node4"]
    assert hosts.mpi.unique().tolist() == ["MPICH Version: 5.0.2"]
    assert hosts.gpu.isna().all()
    assert committed[["started", "host", "cpu", "mpi"]].notna().all().all()


@pytest.mark.parametrize("path", FILES, ids=list(COMMITTED))
def test_a_frame_gives_its_records_back(path: Path) -> None:
    assert records_of(cb.read(path)) == load(path)


# Columns


def test_every_column_has_its_declared_type(committed: pd.DataFrame) -> None:
    assert {name: str(kind) for name, kind in committed.dtypes.items()} == DTYPES
    assert list(committed.columns) == [*COLUMNS, "cache", "case_status", "source", *FACTS]


def test_columns_keep_their_types_when_nothing_is_in_them() -> None:
    for frame in (frame_of([]), frame_of([untimed("skipped", gpus_per_node=None, bound_us=None)])):
        kinds = {str(name): str(kind) for name, kind in frame.dtypes.items()}
        assert kinds == {name: DTYPES[name] for name in kinds}


@settings(deadline=None, max_examples=40)
@given(RECORDS)
def test_any_records_come_back_from_a_frame(records: list[Record]) -> None:
    found = records_of(frame_of(records, "here"))
    assert found == records
    kinds = [[type(getattr(row, each.name)) for each in fields(Record)] for row in (*records, *found)]
    assert kinds[: len(records)] == kinds[len(records) :]


def test_a_frame_of_an_earlier_version_is_still_taken() -> None:
    rows = [a_record(), a_record(launch=1)]
    assert records_of(frame_of(rows).drop(columns=list(ADDED_LATER))) == rows


def test_the_slowest_rank_is_found_by_grouping() -> None:
    slow = [timed(9.0, launch=launch, slowest_rank=3, slowest_host="node2", slowest_share=0.8) for launch in range(3)]
    frame = frame_of([*slow, timed(9.0, launch=3)])
    assert frame.groupby(["slowest_host", "slowest_rank"]).size().to_dict() == {("node2", 3): 3}
    assert frame.slowest_share.isna().tolist() == [False, False, False, True]


def test_a_case_is_worth_what_its_gravest_launch_is() -> None:
    rows = [timed(9.0), untimed("failed", launch=1), timed(9.0, bytes=8192), a_record(backend=JOB, status="timeout")]
    frame = frame_of(rows)
    assert frame.status.tolist() == ["ok", "failed", "ok", "timeout"]
    assert frame.case_status.tolist() == ["failed", "failed", "ok", "timeout"]


def test_grouping_and_pivoting_make_up_no_case(committed: pd.DataFrame) -> None:
    case = ["source", "ranks", "dtype", "backend", "bytes"]
    assert len(committed.groupby(case).latency_us_median.median()) == len(committed[case].drop_duplicates())
    frame = of(committed, source=str(ROOT / "results" / "h200x4-nvrar-worlds.csv"))
    pivot = frame.pivot_table(index=["ranks", "bytes"], columns="backend", values="latency_us_median", aggfunc="median")
    assert (len(pivot), list(pivot.columns)) == (10, ["nccl", "nccl-symm", "nvrar"])
    assert frame[frame.in_place].empty
    assert len(frame[~frame.in_place]) == len(frame)


# Which files


def test_files_are_found_by_path_folder_glob_and_list(tmp_path: Path) -> None:
    one = written(tmp_path / "a" / "x.csv", a_record())
    two = written(tmp_path / "a" / "y.csv", a_record(run_id="other"))
    (tmp_path / "a" / "x.samples.csv").write_text("row,sample,latency_us\n")
    (tmp_path / "a" / "notes.txt").write_text("x")
    for sources in (
        (one, two),
        (tmp_path / "a",),
        (f"{tmp_path}/a/*",),
        ([one, Path(two)],),
        (f"{tmp_path}/**/*.csv",),
    ):
        assert cb.read(*sources).source.tolist() == [one, two]
    assert cb.read(one, f"{tmp_path}/a/../a/x.csv").source.size == 1
    assert cb.read(tmp_path / "a").run_id.tolist() == ["20260102T030405-here", "other"]


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(cb.UsageError, match=r"gone\.csv does not exist"):
        cb.read(tmp_path)
    with pytest.raises(cb.UsageError, match=r"cannot be read as a results file: .*File name too long"):
        cb.read(tmp_path / ("n" * 300))


def test_what_is_no_results_file_is_left_out_of_a_glob_with_a_warning(tmp_path: Path) -> None:
    one = written(tmp_path / "x.csv", a_record())
    (tmp_path / "z.csv").write_text("size,time\n8,9.5\n")
    with pytest.warns(UserWarning, match=r"z\.csv is not a results file of collbench; skipped") as caught:
        assert cb.read(tmp_path / "*.csv").source.tolist() == [one]
    assert caught[0].filename == __file__
    with pytest.raises(cb.UsageError, match=r"z\.csv is not a results file of collbench"):
        cb.read(tmp_path / "z.csv")


def test_the_folder_of_committed_results_can_be_read_at_once() -> None:
    with pytest.warns(UserWarning, match="h200x4-nccl-tests"):
        assert len(cb.read(ROOT / "results" / "[a-z]*.csv")) >= sum(rows for rows, _ in COMMITTED.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "r.csv is empty"),
        (dump([a_record()])[:-9], "line 2: the last row is truncated"),
        (",".join([*COLUMNS, "energy_j"]) + "\n", "newer collbench: column 'energy_j'"),
    ],
)
def test_a_results_file_that_cannot_be_read_is_a_usage_error_in_a_glob_too(
    text: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(cb.UsageError, match=words):
        cb.read(tmp_path / "*.csv")


def test_nothing_to_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(cb.UsageError, match=r"nothing\*\.csv matches no file"):
        cb.read(tmp_path / "nothing*.csv")
    with pytest.raises(cb.UsageError, match="does not exist"):
        cb.read(tmp_path / "nothing.csv")
    nothing: list[tuple[Path, ...]] = [(), (tmp_path,)]
    for sources in nothing:
        with pytest.raises(cb.UsageError, match="found no results file to read"):
            cb.read(*sources)


def test_a_run_and_its_copy_are_not_read_together(tmp_path: Path) -> None:
    one, copy = (written(tmp_path / f"{name}.csv", a_record(), a_record(launch=1)) for name in "ab")
    with pytest.raises(
        cb.UsageError, match=r"a\.csv and .*b\.csv contain the same launch of the same run; read only one"
    ):
        cb.read(one, copy)


def test_a_sidecar_is_optional_but_never_half_read(tmp_path: Path) -> None:
    one = written(tmp_path / "x.csv", a_record(), a_record(launch=1))
    frame = cb.read(one, sidecar=True)
    assert frame[list(FACTS)].isna().all().all()
    assert str(frame.dtypes["started"]) == DTYPES["started"]
    sidecar_path(Path(one)).write_text(json.dumps({"launches": [{"launch": 1}]}))
    assert cb.read(one, sidecar=True).started.isna().all()
    odd = (
        '"machine": {"cpu": 5}',
        '"ranks": [{"gpu": 1}]',
        '"git": {}',
        '"started": "at noon"',
        '"started": 7',
        '"mpi": []',
        '"ranks": 1',
    )
    entries = [f'{{"launches": [{{"launch": 0, {fact}}}]}}' for fact in odd]
    entries += [
        '{"launches": [{"launch": 0, "machine": {"cpu": 5}}]}',
        '{"launches": [{"launch": 0, "ranks": [{"gpu": 1}]}]}',
    ]
    for text in ("", "{", "[]", "3", '{"launches": [{}]}', '{"launches": 3}', "\udcff", *entries):
        sidecar_path(Path(one)).write_text(text, errors="surrogateescape")
        assert len(cb.read(one)) == 2
        with pytest.raises(cb.UsageError, match=r"x\.json is not a sidecar of collbench"):
            cb.read(one, sidecar=True)


def test_jobs_that_share_a_launch_number_share_their_facts(tmp_path: Path) -> None:
    one = written(tmp_path / "x.csv", a_record())
    launch = LATER["launches"][0]
    other = {**launch, "ranks": [{"rank": 0, "host": "other"}], "started": "2027-01-01T00:00:00+0000"}
    sidecar_path(Path(one)).write_text(json.dumps({"launches": [launch, other]}))
    (row,) = cb.read(one, sidecar=True).to_dict("records")
    assert (row["host"], row["started"]) == ("vm, other", pd.Timestamp(launch["started"]))


def test_rows_of_a_variant_have_the_facts_of_its_own_processes(tmp_path: Path) -> None:
    rows = [a_record(backend=name) for name in ("mpi", "mpi@a", "nvrar@main")]
    one = written(tmp_path / "x.csv", *rows)
    plain = LATER["launches"][0]
    variant = {"name": "a", "backend": "mpi@a", "variables": {"MPICH_X": "1"}}
    other = {**plain, "variant": variant, "mpi": {"library": "another"}, "started": "2027-01-01T00:00:00+0000"}
    for entries in ([plain, other], [other, plain]):
        sidecar_path(Path(one)).write_text(json.dumps({"launches": entries}))
        found = cb.read(one, sidecar=True)
        began = [pd.Timestamp(entry["started"]) for entry in (plain, other, plain)]
        assert found["started"].tolist() == began
        assert (found["mpi"] == "another").tolist() == [False, True, False]
    sidecar_path(Path(one)).write_text(json.dumps({"launches": [other]}))
    assert cb.read(one, sidecar=True).started.isna().tolist() == [True, False, True]


# compare


@pytest.mark.parametrize("name", ["cpu-4ranks", "h200x4-wrong", "h200x4-nvrar-layouts"])
def test_compare_has_the_numbers_of_the_command(name: str) -> None:
    path = ROOT / "results" / f"{name}.csv"
    shown = json.loads(CliRunner().invoke(cli, ["compare", str(path), "--json"]).stdout)
    found = cb.compare(cb.read(path))
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    assert rows == shown


def test_compare_of_two_runs_has_the_numbers_of_the_command() -> None:
    paths = [ROOT / "results" / f"h200x2-graph-mixing-{state}.csv" for state in "01"]
    words = ["compare", *map(str, paths), "--json", "--backend", "nccl,nvrar"]
    shown = json.loads(CliRunner().invoke(cli, words).stdout)
    both = cb.read(paths)
    one, other = (both[both.source == str(path)] for path in paths)
    found = cb.compare(one, other, backends=["nccl", "nvrar"])
    assert set(found.a) == {"nccl (A)", "nvrar (A)"}
    assert found.value.tolist() == [row["value"] for row in shown]
    assert set(found.covers) == {"launches like these, of these two runs"}


def test_one_launch_has_no_interval_and_no_verdict() -> None:
    (found,) = cb.compare(frame_of([timed(us, backend=name) for us, name in ((5.0, "nvrar"), (9.0, "nccl"))])).to_dict(
        "records"
    )
    assert (found["launches"], found["verdict"]) == (1, "unclear (1 launch)")
    assert pd.isna([found["low"], found["high"], found["covers"]]).all()


def test_an_interval_says_what_it_covers_and_with_what_confidence() -> None:
    found = cb.compare(cb.read(ROOT / "results" / "h200x4-nvrar.csv"), backends="nvrar,nccl")
    assert set(found.covers) == {"launches like these"}
    assert set(found.together) == {15}
    assert found.confidence.round(4).unique().tolist() == [0.9967]


def test_cases_without_a_verdict_are_rows_with_a_reason() -> None:
    rows = [untimed("failed", "broke", backend="nvrar"), timed(9.0, backend="nccl")]
    (found,) = cb.compare(frame_of(rows)).to_dict("records")
    assert (found["a_status"], found["b_status"], found["b_us"]) == ("failed", "ok", 9.0)
    assert found["reason"] == "nvrar 4 KiB: failed (broke)"
    assert pd.isna(found["value"])
    assert pd.isna(found["verdict"])
    assert pd.isna(found["launches"])


@pytest.mark.parametrize(
    ("rows", "backends", "words"),
    [
        ([timed(9.0), timed(9.0, backend="nccl")], "mpi,ncl", "unknown backend 'ncl'; did you mean 'nccl'"),
        ([timed(9.0), timed(9.0, backend="nccl")], ("mpi",), "needs two backends, A,B, not 1"),
        ([timed(9.0)], (), "no case was timed on both sides"),
    ],
)
def test_what_cannot_be_compared_is_a_usage_error(rows: list[Record], backends: Any, words: str) -> None:
    with pytest.raises(cb.UsageError, match=words):
        cb.compare(frame_of(rows), backends=backends)


@pytest.mark.parametrize("use", [cb.compare, cb.plot])
def test_rows_of_two_runs_of_a_case_are_not_mixed(use: Any, tmp_path: Path) -> None:
    one = written(tmp_path / "a.csv", *(timed(9.0, backend=name) for name in ("mpi", "nccl")))
    two = written(tmp_path / "b.csv", *(timed(9.0, backend=name, run_id="other") for name in ("mpi", "nccl")))
    both = cb.read(one, two)
    with pytest.raises(
        cb.UsageError, match=r"a\.csv and .*b\.csv contain the same case; .*df\[df.source == '.*a\.csv'\]"
    ):
        use(both)
    with pytest.raises(cb.UsageError, match="here and other contain the same case"):
        use(both.drop(columns="source"))
    assert len(use(both[both.source == one])) > 0
    assert cb.compare(both[both.source == one], both[both.source == two]).value.tolist() == [1.0, 1.0]
    with pytest.raises(cb.UsageError, match="a launch of a case twice"):
        use(pd.concat([cb.read(one), cb.read(one)]))


def test_frames_of_something_else_are_usage_errors() -> None:
    frame = frame_of([a_record()])
    odd: dict[str, Any] = {"latency_us_median": -1.0, "bound_us": float("inf"), "ranks": 0, "bytes": 4096.5}
    for name, value in odd.items():
        with pytest.raises(cb.UsageError, match=f"the frame, column {name}: "):
            cb.plot(frame.assign(**{name: value}))
    assert records_of(frame.assign(in_place="False", bytes=4096.0)) == [a_record()]
    with pytest.raises(cb.UsageError, match="the frame has no column 'ranks'"):
        cb.plot(frame.drop(columns="ranks"))
    with pytest.raises(cb.UsageError, match="column 'ranks' of the frame has an empty cell"):
        cb.plot(frame.assign(ranks=pd.Series([None], dtype="Int64")))


# The package


def test_only_what_the_package_names_is_there() -> None:
    assert set(dir(cb)) == {"UsageError", "__version__", "compare", "plot", "read"}
    with pytest.raises(AttributeError, match="module 'collbench' has no attribute 'wrote'"):
        _ = cb.wrote  # type: ignore[attr-defined]


SUBMIT = ["submit", "--profile", "perlmutter", "--account", "m1", "--nodes", "2", "--sizes", "4K", "--dry-run"]


@pytest.mark.parametrize("arguments", [["--help"], ["list"], SUBMIT], ids=["help", "list", "submit"])
def test_commands_that_only_print_load_no_numerics(arguments: list[str], tmp_path: Path) -> None:
    program = f"""
import sys
import collbench
from collbench.cli.main import cli
cli.main({arguments!r}, standalone_mode=False)
print([name for name in ("numpy", "pandas", "matplotlib", "ml_dtypes") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("function", [cb.read, cb.compare, cb.plot])
def test_examples_of_docstrings_are_true(function: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.chdir(tmp_path)
    names = {"collbench": cb, "read": cb.read}
    (example,) = doctest.DocTestFinder(recurse=False).find(function, globs=names)
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_example_of_the_readme_prints_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## In Python\n")[1].split("\n## ")[0]
    (program, shown) = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(ROOT)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "README.md", "exec"), {})
    assert [line.rstrip() for line in out.getvalue().splitlines()] == shown.splitlines()


def test_replays_are_left_out_of_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    replays = tmp_path / "replay.csv"
    replays.write_text("run_id,launch,spec,pass_kind\n")
    (tmp_path / "run.csv").write_text(dump([a_record()]))
    assert len(cb.read(tmp_path)) == 1  # without a warning
    with pytest.raises(cb.UsageError, match="has steps of `collbench llm replay`, not cases of a sweep"):
        cb.read(replays)
