"""The command import, and what takes its files: compare, plot, fit and llm predict."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from foreign_logs import ROWS, a_result, nccl_json, nccl_tests
from running import Here
from samples import timed

from collbench.results.records import dump, load

SIZES = [f" {size}  {size // 4}  float  sum  -1  {us}  1.0  1.75  0  {us}  1.0  1.75  0"
         for size, us in ((4096, "12.01"), (65536, "14.52"), (1048576, "30.14"), (16777216, "250.3"))]  # fmt: skip


def a_log(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def ours(path: Path, **changes: object) -> str:
    """A results file of collbench for the same cases."""
    fields = {"ranks": 8, "nodes": 2, "gpus_per_node": 4, "mode": "throughput", "fabric": "infiniband", **changes}
    sizes = ((4096, 6.0), (65536, 7.0), (1048576, 20.0), (16777216, 240.0))
    rows = [
        timed(us + 1, backend="nvrar", bytes=size, launch=launch, latency_us_mean=us, **fields)
        for launch in range(3)
        for size, us in sizes
    ]
    path.write_text(dump(rows))
    return str(path)


def test_a_log_becomes_a_results_file_with_its_source(here: Here, tmp_path: Path) -> None:
    ran = here("import", a_log(tmp_path / "a.log", f"module load nccl\n{nccl_tests()}"), "-o", "a.csv")
    assert ran.code == 0, ran.err
    assert "a.log: not understood: line 1; the first: module load nccl" in ran.out
    assert ran.out.rstrip().endswith("a.csv: 6 rows")
    (launch,) = json.loads((tmp_path / "a.json").read_text())["launches"]
    source = launch["imported"]
    assert (source["file"], source["tool"], source["statistics"], source["not_understood"]) == (
        "a.log", "nccl-tests", ["mean over calls, mean over ranks"], ["1"],
    )  # fmt: skip
    assert (len(source["sha256"]), launch["ranks"][7]["gpu"]["nccl"], launch["launch"]) == (64, "2.27.5", 0)
    assert len(load(tmp_path / "a.csv")) == 6


def test_values_for_programs(here: Here, tmp_path: Path) -> None:
    ran = here("import", "x=" + a_log(tmp_path / "a.log", nccl_tests()), "-o", "a.csv", "--json")
    (run,) = json.loads(ran.out)
    assert (run["backends"], run["rows"], run["launch"], run["statistics"]) == (["x"], 6, 0, ["mean over ranks"])


def test_rows_that_the_tool_found_wrong_are_said(here: Here, tmp_path: Path) -> None:
    wrong = a_log(tmp_path / "a.log", nccl_tests([row.replace("11.16    0", "11.16    7") for row in ROWS]))
    ran = here("import", wrong, "-o", "a.csv")
    said = "a.log: 1 row with status wrong and without a latency, the first because nccl-tests counts 7 wrong elements."
    assert said in " ".join(ran.out.split())
    (run,) = json.loads(here("import", wrong, "-o", "a.csv", "--force", "--json").out)
    assert (run["rows"], run["wrong"]) == (6, 1)


def test_an_existing_file_is_replaced_on_request_only(here: Here, tmp_path: Path) -> None:
    log = a_log(tmp_path / "a.log", nccl_tests())
    (tmp_path / "a.csv").write_text("mine")
    refused = here("import", log, "-o", "a.csv")
    assert (refused.code, (tmp_path / "a.csv").read_text()) == (2, "mine")
    assert refused.err == "collbench: a.csv exists; give another -o, or --force to replace it.\n"
    assert here("import", log, "-o", "a.csv", "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["bad.log"], "bad.log is no output of a benchmark that is known"), (["none.log"], "none.log cannot be read"),
     (["a.log", "bad.log"], "bad.log is no output"), (["a.log", "a.log"], "have the same content; give one"),
     (["x" * 5000 + "=none.log"], "none.log cannot be read"),
     (["b ad=a.log"], "'b ad' is no name"), (["a.log", "--nodes", "2", "--per-node", "4"], "both set the nodes"),
     (["ours.csv"], "ours.csv is a results file of collbench: compare, plot and fit take it as it is"),
     (["new.json"], "new.json would be replaced by new.csv or the files beside it; give another -o"),
     (["a.log", "--fabric", "<b>"], "'<b>' is no name"), (["a.log", "--ranks", "4"], "is 8, not 4")],
)  # fmt: skip
def test_mistakes_are_a_sentence_and_nothing_is_written(
    arguments: list[str], words: str, here: Here, tmp_path: Path
) -> None:
    a_log(tmp_path / "a.log", nccl_tests())
    a_log(tmp_path / "bad.log", "hello\n")
    a_log(tmp_path / "new.json", nccl_json([a_result(64, 3.0)]))
    ours(tmp_path / "ours.csv")
    ran = here("import", *arguments, "-o", "new.csv")
    assert (ran.code, words in ran.err, (tmp_path / "new.csv").exists()) == (2, True, False), ran.err


def test_a_file_whose_name_has_the_sign_is_a_file(here: Here, tmp_path: Path) -> None:
    assert here("import", a_log(tmp_path / "n=8.log", nccl_tests()), "-o", "a.csv").code == 0
    assert {row.backend for row in load(tmp_path / "a.csv")} == {"nccl"}


def test_compare_takes_both_sides_by_their_means_and_says_so(here: Here, tmp_path: Path) -> None:
    log = a_log(tmp_path / "a.log", nccl_tests(SIZES))
    assert here("import", "nvrar=" + log, "-o", "a.csv").code == 0
    ran = here("compare", ours(tmp_path / "ours.csv"), "a.csv")
    assert re.search(r" 4 KiB +6\.000 +12\.01  0\.500", ran.out)
    assert "nvrar: mean over ranks (collbench); nvrar: mean over calls, mean over ranks (nccl-tests)" in ran.out
    assert "The network of nvrar is not known" in ran.out


def test_compare_says_how_to_name_a_log_where_no_name_is_in_both_files(here: Here, tmp_path: Path) -> None:
    here("import", "other=" + a_log(tmp_path / "a.log", nccl_tests(SIZES)), "-o", "a.csv")
    for files in ((ours(tmp_path / "ours.csv"), "a.csv"), ("a.csv", "ours.csv")):
        ran = here("compare", *files)
        assert (ran.code, "import the log under a name that both have, as in nvrar=LOG" in ran.err) == (2, True)
    assert "import the log" not in here("compare", "a.csv").err


def test_the_name_is_that_of_nccl_where_the_other_file_has_it(here: Here, tmp_path: Path) -> None:
    here("import", "other=" + a_log(tmp_path / "a.log", nccl_tests(SIZES)), "-o", "a.csv")
    rows = load(Path(ours(tmp_path / "ours.csv")))
    (tmp_path / "ours.csv").write_text(dump([*rows, *(replace(row, backend="nccl") for row in rows)]))
    assert "as in nccl=LOG" in here("compare", "ours.csv", "a.csv").err


def test_compare_warns_where_there_are_no_means(here: Here, tmp_path: Path) -> None:
    here("import", "nvrar=" + a_log(tmp_path / "a.log", nccl_tests(SIZES)), "-o", "a.csv")
    rows = [replace(row, latency_us_mean=None) for row in load(Path(ours(tmp_path / "ours.csv")))]
    (tmp_path / "ours.csv").write_text(dump(rows))
    ran = here("compare", "ours.csv", "a.csv")
    words = "nvrar (A) is taken by the slowest rank, nvrar (B) is not: the slowest rank takes longest"
    assert ran.out.count(f"MISMATCH: {words}") == 1
    (row, *_) = json.loads(here("compare", "ours.csv", "a.csv", "--json").out)
    assert row["mismatch"].startswith(words)
    assert (row["a_latency"], row["b_latency"]) == (
        "median of the slowest rank (collbench)", "mean over calls, mean over ranks (nccl-tests)",
    )  # fmt: skip


def test_from_a_log_to_a_chart_in_two_commands(here: Here, tmp_path: Path) -> None:
    log = a_log(tmp_path / "nccl.log", nccl_tests(SIZES))
    assert here("import", log, "-o", "nccl.csv").code == 0
    ran = here("plot", ours(tmp_path / "ours.csv"), "nccl.csv", "--format", "svg", "-o", "charts")
    assert ran.code == 0, ran.err
    chart = (tmp_path / "charts" / "ours+nccl-latency.svg").read_text()
    assert "nccl: mean over calls, mean over ranks (nccl-tests)" in chart
    assert "nvrar: mean over ranks (collbench)" in chart
    assert "median and 5 to 95 % of samples" not in chart


def test_fit_and_predict_take_such_files_and_say_what_they_are(here: Here, tmp_path: Path) -> None:
    rows = [" 16384  4096  float  sum  -1  12.90  1.0  1.75  0  12.90  1.0  1.75  0", *SIZES]
    here("import", a_log(tmp_path / "a.log", nccl_tests(rows)), "-o", "a.csv")
    fitted = here("fit", "a.csv", "--only", "in_place=false")
    assert (fitted.code, "nccl: mean over calls, mean over ranks (nccl-tests)" in fitted.out) == (0, True)
    source = "csv:a.csv?in_place=false#nccl"
    asked = ("llama-3.1-8b:gpus-per-node=4:batch=8", "--gpu", "h100", "--nodes", "2")
    ran = here("llm", "predict", *asked, "--source", source, "--rest", "fit:infiniband-ndr#nccl")
    assert (ran.code, "[mean over calls, mean over ranks (nccl-tests)]" in ran.out) == (0, True), ran.err


def test_launches_make_verdicts(here: Here, tmp_path: Path) -> None:
    results = [[a_result(size, us * (1 + 0.01 * each)) for size, us in ((4096, 12.0), (65536, 14.0), (1 << 20, 30.0))]
               for each in range(3)]  # fmt: skip
    logs = [a_log(tmp_path / f"{each}.json", nccl_json(found)) for each, found in enumerate(results)]
    assert here("import", *(f"nvrar={log}" for log in logs), "-o", "a.csv").code == 0
    ran = here("compare", ours(tmp_path / "ours.csv"), "a.csv")
    assert ran.out.count("faster") == 3, ran.out


def test_rows_of_the_log_in_python(here: Here, tmp_path: Path) -> None:
    import collbench as cb

    here("import", "nvrar=" + a_log(tmp_path / "a.log", nccl_tests(ROWS[:1])), "-o", "a.csv")
    frame = cb.read(tmp_path / "a.csv", sidecar=True)
    assert frame.latency_us_median.isna().all()
    assert frame.nccl[0] == "2.27.5"
    found = cb.compare(cb.read(ours(tmp_path / "ours.csv")), frame)
    assert found.loc[found.in_place == False, "b_us"].dropna().tolist() == [31.97]  # noqa: E712


def test_what_a_run_repeats_is_said(here: Here, tmp_path: Path) -> None:
    ran = here("import", a_log(tmp_path / "a.log", nccl_tests([*ROWS, ROWS[0]])), "-o", "a.csv")
    assert "a.log: 2 rows of cases that a run has already" in ran.out
    assert "a.csv: 6 rows" in ran.out
