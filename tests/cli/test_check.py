"""The command check on files, and its mistakes: one sentence and exit code 2."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gates import launches
from running import Here
from samples import timed

from collbench.cli.check_options import fixed_words
from collbench.results.records import Record, dump


def write(path: Path, records: list[Record], started: str = "2026-01-01T00:00:00+0000", gpu: str = "H100") -> Path:
    """A results file with a sidecar of one launch."""
    path.write_text(dump(records))
    sweep = {"warmup": 10, "samples": None, "max_seconds": 1.0, "seed": 1, "verify": True}
    entry = {
        "launch": 0,
        "started": started,
        "sweep": sweep,
        "mpi": {},
        "versions": {},
        "ranks": [{"gpu": {"name": gpu}}],
    }
    path.with_suffix(".json").write_text(json.dumps({"schema": 1, "run_id": "r", "launches": [entry]}))
    return path


def side(name: str, count: int = 5, factor: float = 1.0) -> list[Record]:
    """Launches of one backend."""
    return [row for row in launches(count, (factor,) * 3) if row.backend == name]


LATER = "2026-01-02T00:00:00+0000"


def test_two_files_are_judged_with_the_margin_by_which_runs_differ(here: Here, tmp_path: Path) -> None:
    base, new = write(tmp_path / "a.csv", side("old")), write(tmp_path / "b.csv", side("new", factor=1.06), LATER)
    named = ("--baseline", "old", "--candidate", "new")
    ran = here("check", str(base), str(new), *named, "--junit", str(tmp_path / "j.xml"))
    assert ran.code == 4, ran.err
    assert ran.out.splitlines()[-1] == "b against a: slower at 3 of 3 sizes, by 6.0 to 6.1 % (margin 4 %)"
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "3"
    assert here("check", str(base), str(new), *named, "--margin", "10%").code == 6, "never the same with a run a side"
    found = json.loads(here("check", str(base), str(new), *named, "--json").out)
    assert (found["exit"], found["looks"]) == (4, None)


@pytest.mark.parametrize("name", ["b\udcff.csv", "b\x01.csv"])
def test_any_name_of_a_file_fits_into_reports_and_charts(here: Here, tmp_path: Path, name: str) -> None:
    base, new = write(tmp_path / "a.csv", side("old")), write(tmp_path / name, side("old"), LATER)
    ran = here("check", str(base), str(new), "--junit", str(tmp_path / "j.xml"), "--plot", str(tmp_path))
    assert ran.code == 6, ran.err
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("errors") == "3"


def test_several_runs_a_side_may_be_the_same(here: Here, tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / f"a{number}.csv", side("old", 3))
        write(tmp_path / f"b{number}.csv", side("old", 3, factor=1.0))
    ran = here("check", "--baseline-files", f"{tmp_path}/a*.csv", "--candidate-files", f"{tmp_path}/b*.csv")
    assert ran.code == 0, ran.err
    assert "same at 3 of 3 sizes" in ran.out


def test_another_gpu_is_refused_and_other_versions_are_noted(here: Here, tmp_path: Path) -> None:
    base, new = write(tmp_path / "a.csv", side("old")), write(tmp_path / "b.csv", side("old"), LATER, gpu="H200")
    ran = here("check", str(base), str(new))
    assert ran.code == 2
    assert "refused, since GPU H100, now H200" in ran.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a.csv"], "a.csv is not of a check"),
        (["a.csv", "b.csv", "c.csv"], "a check of files needs two, BASE.csv CANDIDATE.csv, not 3"),
        (["a.csv", "a.csv"], "a.csv is on both sides"),
        (["b.csv", "a.csv"], "a.csv was measured before b.csv"),
        (["a.csv", "c.csv"], "a verdict needs at least 3 launches of a size on either side"),
        (["a.csv", "d.csv"], "no case is on both sides"),
        (["a.csv", "f.csv"], "f.csv has rows that another tool measured, which check does not judge; use compare"),
        (["f.csv", "a.csv"], "f.csv has rows that another tool measured"),
        (["f.csv"], "f.csv has rows that another tool measured"),
        (["a.csv", "e.csv"], "is not a results file of collbench"),
        (["a.csv", "none.csv"], "none.csv"),
        (["a.csv", "b.csv", "--margin", "0"], "a margin of 0 is not above 0"),
        (["a.csv", "b.csv", "--margin", "2"], "a margin of 2 would be 200%; write 2%"),
        (["a.csv", "b.csv", "--margin", "much"], "'much' is not a margin"),
        (["a.csv", "b.csv", "--baseline-ref", "main"], "--baseline-ref is for checks that measure, not for files"),
        (["a.csv", "b.csv", "-o", "c.csv", "--force"], "is for checks that measure, not for files; omit it"),
        (["a.csv", "b.csv", "--no-verify"], "--verify is for checks that measure"),
        (["a.csv", "--baseline-files", "a.csv"], "not both"),
        (["--baseline-files", "a.csv"], "belong together"),
        (["--baseline-files", "x*.csv", "--candidate-files", "a.csv"], "no results file matches x*.csv"),
        (["--baseline", "mpi"], "a check needs two sides"),
        ([], "a check needs two sides"),
        (["--baseline", "mpi", "--candidate", "mpj"], "unknown backend 'mpj'; did you mean"),
        (["--baseline", "mpi", "--candidate", "mpi"], "are both mpi"),
        (["--baseline", "mpi", "--candidate", "mpi-ring", "--max-launches", "2"], "needs at least 3 launches"),
        (["--baseline", "mpi", "--candidate", "mpi-ring", "--junit", "e.csv/j.xml"], "e.csv/j.xml cannot be written"),
        (["--baseline", "mpi", "--candidate", "mpi-ring", "--plot", "e.csv/p"], "e.csv/p cannot be written"),
        (["--baseline", "mpi", "--candidate", "mpi-ring", "--resume"], "name it with -o"),
        (["--baseline", "mpi", "--candidate", "mpi-ring", "--json", "--latex"], "give one of them"),
    ],
)
def test_mistakes_are_one_sentence(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    write(tmp_path / "a.csv", side("old"))
    write(tmp_path / "b.csv", side("old"), LATER)
    write(tmp_path / "c.csv", side("old", 1), LATER)
    write(tmp_path / "d.csv", [timed(10, launch=launch, backend="old", ranks=2) for launch in range(5)], LATER)
    (tmp_path / "e.csv").write_text("a,b\n1,2\n")
    foreign = [replace(row, params="tool=nccl-tests;statistic=slowest rank") for row in side("old")]
    write(tmp_path / "f.csv", foreign).with_suffix(".json").write_text('{"launches": [{"launch": 0, "imported": {}}]}')
    monkeypatch.chdir(tmp_path)
    ran = here("check", *words)
    assert ran.code == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_the_sides_of_later_ranks_are_options_whatever_ends_the_command_line() -> None:
    words = ["check", "--baseline", "a", "--candidate=b", "--baseline-ref", "main", "--"]
    assert fixed_words(words, "a@1", "b") == ("check", "--baseline", "a@1", "--candidate", "b")
