"""What a report says first, and what stands in its panels: the words and tables of other commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import Reader, read
from report.conftest import Write
from samples import timed, untimed

from collbench.errors import UsageError
from collbench.report.sections import SHOWN
from collbench.results.cases import cases
from collbench.results.records import Record, dump
from collbench.views.comparison import compare_backends, compare_files
from collbench.views.conclusions import conclusions, lines_of
from collbench.views.ratios import page as ratios_page
from collbench.views.summary import page as summary_page


def two(factor: float = 0.5, **cells: object) -> list[Record]:
    """Three launches of two backends at two sizes."""
    return [
        timed(us * size / 4096 * (1 + launch / 1000), backend=name, bytes=size, launch=launch, **cells)
        for name, us in (("nccl", 10.0), ("nvrar", 10.0 * factor))
        for size in (4096, 8192)
        for launch in range(3)
    ]


def report_of(write: Write, folder: Path, *runs: list[Record]) -> Reader:
    """The report of files with these rows."""
    paths = [folder / f"{place}.csv" for place in range(len(runs))]
    for path, rows in zip(paths, runs, strict=True):
        path.write_text(dump(rows))
    return read(write(*paths))


def listed(reader: Reader) -> list[str]:
    return [each.text for each in reader.of("li")]


def test_two_runs_over_different_networks_are_a_mismatch_and_no_conclusion(write: Write, tmp_path: Path) -> None:
    before, after = (
        two(nodes=2, gpus_per_node=2, fabric="infiniband", params=f"cache=hot;transport={took}", run_id=took)
        for took in ("ib", "socket")
    )
    lines = listed(report_of(write, tmp_path, before, after))
    words = "nccl (B) went over InfiniBand or RoCE (ib); nccl (A) went over TCP sockets (socket)"
    assert len([line for line in lines if line.startswith(f"MISMATCH: {words}")]) == 1
    assert not [line for line in lines if line.startswith("nccl (A) is")]


def cells_of(reader: Reader) -> list[list[str]]:
    """The rows of all tables, each with its cells."""
    found: list[list[str]] = []
    for each in reader.elements:
        if each.name == "tr":
            found.append([])
        elif each.name in ("th", "td"):
            found[-1].append(each.text)
    return found


def test_the_summary_says_what_a_sweep_concludes(write: Write, tmp_path: Path) -> None:
    reader = report_of(write, tmp_path, two())
    (line,) = conclusions(two())
    assert line == "nvrar is faster than nccl at both sizes, 2.00× in the geometric mean"
    assert line in listed(reader)
    assert any("Student's t, for launches like these; 95 % for all 2 sizes" in each.text for each in reader.of("p"))


def test_tables_are_those_of_sweep_and_compare(write: Write, tmp_path: Path) -> None:
    rows = two()
    found = cells_of(report_of(write, tmp_path, rows))
    for table in (*summary_page(rows).tables, *ratios_page(compare_backends(rows)).tables):
        assert [list(row) for row in table.cells if list(row) not in found] == []


def test_two_runs_are_compared_the_second_with_the_first(write: Write, tmp_path: Path) -> None:
    before, after = two(0.5), two(0.9)
    reader = report_of(write, tmp_path, before, after)
    words = lines_of(compare_files(after, before).judged)
    assert words[1] == "nvrar (A) is slower than nvrar (B) at both sizes, 1.80× in the geometric mean"
    assert [line for line in words if line not in listed(reader)] == []
    assert any(each.text == "A: 1, B: 0; collbench compare A B has the same ratios." for each in reader.of("p"))


def test_cases_that_only_one_of_two_runs_has_are_listed_and_drawn(write: Write, tmp_path: Path) -> None:
    before, after = [*two(), timed(7.0, dtype="float16")], [*two(), timed(8.0, bytes=65536, backend="nccl")]
    reader = report_of(write, tmp_path, before, after)
    text = reader.of("main")[0].text
    assert "1 case only in A:" in text
    assert "1 case only in B:" in text
    assert len([each for each in reader.of("h3") if "float16" in each.text]) == 1
    assert ["4 KiB", "7.000", "mpi", "0.614"] in cells_of(reader)


def test_what_went_wrong_comes_first_with_its_reason_in_the_panel(write: Write, tmp_path: Path) -> None:
    bad = untimed("wrong", "rank 1 misses rank 0", backend="nvrar", bytes=16384)
    job = untimed("timeout", "out of time", backend="(job)", bytes=0)
    lines = listed(report_of(write, tmp_path, [*two(), bad, job]))
    assert lines.index("A job did not finish: timeout: out of time") < lines.index(conclusions(two())[0])
    assert "Cases without a latency: 1 wrong; the tables have the reasons." in lines
    text = report_of(write, tmp_path, [*two(), bad]).of("main")[0].text
    assert "wrong ×1: nvrar: rank 1 misses rank 0" in text
    assert "WRONG" in text


def test_many_conclusions_are_folded_and_none_is_lost(write: Write, tmp_path: Path) -> None:
    rows = [row for ranks in range(2, 2 + SHOWN + 3) for row in two(ranks=ranks, gpus_per_node=ranks)]
    reader = report_of(write, tmp_path, rows)
    assert [line for line in conclusions(rows) if line not in listed(reader)] == []
    assert "3 more" in [each.text for each in reader.of("summary")]


def test_a_backend_alone_and_rows_without_any_latency_are_reported(write: Write, tmp_path: Path) -> None:
    words = "There is nothing to compare: one backend was timed, or none."
    for rows in (
        two()[:6],
        [untimed("failed", "why")],
        [untimed("skipped", "why")],
        [untimed("timeout", "why", backend="(job)")],
        [],
    ):
        assert words in listed(report_of(write, tmp_path, rows))


def test_a_case_split_over_fabrics_keeps_the_verdict_of_the_whole(write: Write, tmp_path: Path) -> None:
    rows = [timed(1.0, launch=0), untimed("wrong", "bad", launch=1, fabric="tcp")]
    (case,) = cases(rows)
    assert case.is_bad
    assert ["4 KiB", "WRONG", "", ""] in cells_of(report_of(write, tmp_path, rows))


def test_a_baseline_is_that_of_sentences_ratios_and_charts(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(two()))
    reader = read(write(tmp_path / "r.csv", baseline="nvrar"))
    assert "nccl is slower than nvrar at both sizes, 2.00× in the geometric mean" in listed(reader)
    assert ["4 KiB", "10.01", "5.005", "2.000", "1.996 to 2.004", "slower"] in cells_of(reader)
    panes = reader.charts()["charts"]["chart1"]["views"][0]["panes"]
    assert panes[1]["what"] == "speed-up over nvrar"
    with pytest.raises(UsageError, match="unknown backend"):
        write(tmp_path / "r.csv", baseline="nope")


def test_the_best_of_a_family_is_a_baseline_with_what_was_chosen(write: Write, tmp_path: Path) -> None:
    rows = [timed(us + launch / 1000, backend=name, launch=launch) for launch in range(6)
            for name, us in (("nccl", 10.0), ("nccl-symm", 8.0), ("nvrar", 4.0))]  # fmt: skip
    (tmp_path / "r.csv").write_text(dump(rows))
    reader = read(write(tmp_path / "r.csv", baseline="best(nccl)"))
    assert "nvrar is faster than best(nccl) at 4 KiB, 2.00×" in listed(reader)
    assert "Chosen: nccl-symm 4 KiB." in reader.of("figcaption")[0].text


def test_selected_rows_are_said_to_be_selected(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(two()))
    reader = read(write(tmp_path / "r.csv", only=(("bytes", "4K"),)))
    shown = [each.text for each in reader.of("p") if each.attributes.get("class") == "origin"]
    assert shown == ["r.csv: 6 rows", "Rows with bytes=4K; gates judge all rows of their files."]


def test_means_of_another_tool_are_called_what_they_are(write: Write, tmp_path: Path) -> None:
    means = [untimed("ok", backend="theirs", bytes=4096 * factor, latency_us_mean=12.0 * factor, latency_us_p05=None,
                     latency_us_p95=None, params="tool=nccl-tests;statistic=mean over ranks;calls=20")
             for factor in (1, 2)]  # fmt: skip
    rows = [*two(), *means]
    reader = report_of(write, tmp_path, rows)
    words = "theirs: mean over calls, mean over ranks (nccl-tests)"
    assert any(words in each.text for each in reader.of("p"))
    assert words in reader.of("figcaption")[0].text
    (chart,) = reader.charts()["charts"].values()
    (line,) = (line for line in chart["views"][0]["panes"][0]["lines"] if line["n"] == "theirs")
    assert [point[1] for point in line["p"]] == [12, 24]
    assert chart["views"][0]["panes"][0]["what"] == "latency"


def test_of_two_runs_every_conclusion_and_table_says_whose_it_is(write: Write, tmp_path: Path) -> None:
    only = [timed(3.0, backend="nccl", dtype="int32", launch=launch) for launch in range(3)]
    reader = report_of(write, tmp_path, [*two(), *only], two(factor=0.25))
    assert "within A: nvrar is faster than nccl at both sizes, 4.00× in the geometric mean" in listed(reader)
    assert [each.text for each in reader.of("p") if each.text.startswith("Table: ")] == ["Table: 1.", "Table: 0."]


def test_a_file_without_rows_says_so(write: Write, tmp_path: Path) -> None:
    assert "No file has a row of a case." in [each.text for each in report_of(write, tmp_path, []).of("p")]


def test_cases_that_timed_out_are_counted_in_plain_words(write: Write, tmp_path: Path) -> None:
    reader = report_of(write, tmp_path, [*two(), untimed("timeout", "rank 3", backend="mine")])
    assert "Cases without a latency: 1 timed out; the tables have the reasons." in listed(reader)
