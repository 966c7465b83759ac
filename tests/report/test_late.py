"""Late ranks in a report: a chart beside the table, with the waiting and without."""

from __future__ import annotations

from pathlib import Path

from pages import read
from report.conftest import Write
from samples import timed

from collbench.results.records import Record, dump

SKEWS = (("0", 10.0), ("5us", 13.0), ("20us", 28.0))


def rows_of(factor: float = 1.0) -> list[Record]:
    """Three launches of one backend with three skews; the transfer takes 10 µs times ``factor``."""
    return [timed(10.0 * factor, skew=skew, first_us_median=first, launch=launch, algbw_gb_s=None, busbw_gb_s=None)
            for skew, first in SKEWS for launch in range(3)]  # fmt: skip


def test_the_first_arrival_is_dashed_and_the_last_one_solid(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(dump(rows_of()))
    reader = read(write(tmp_path / "r.csv"))
    data = reader.charts()
    (pane,) = data["charts"]["chart1"]["views"][0]["panes"]
    found = {line["d"]: [point[1] for point in line["p"]] for line in pane["lines"]}
    assert found == {True: [10, 13, 28], False: [10, 10, 10]}
    assert data["charts"]["chart1"]["strokes"] == ["waiting and transfer", "transfer"]
    assert [words for _, words in data["axes"][0]["ticks"]] == ["0", "5", "20"]
    assert any("every rank late at random" in each.text for each in reader.of("caption"))


def test_of_two_runs_the_transfer_alone_is_drawn(write: Write, tmp_path: Path) -> None:
    for name, factor in (("a", 1.0), ("b", 2.0)):
        (tmp_path / f"{name}.csv").write_text(dump(rows_of(factor)))
    chart = read(write(tmp_path / "a.csv", tmp_path / "b.csv")).charts()["charts"]["chart1"]
    found = {line["d"]: [point[1] for point in line["p"]] for line in chart["views"][0]["panes"][0]["lines"]}
    assert (found, chart["strokes"]) == ({True: [10] * 3, False: [20] * 3}, ["a", "b"])
