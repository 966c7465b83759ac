"""What the history shows: tables, remarks on nights, JSON."""

from __future__ import annotations

import json
from pathlib import Path

from nights import a_night, launches_of, nights_of
from samples import untimed
from shown import nights as show

from collbench.printer.forms import Form
from collbench.results.nights import nights_in
from collbench.results.series import Series, series_of

STEADY = [10.0] * 8


def series_in(folder: Path) -> list[Series]:
    """The judged series of a folder."""
    return series_of(nights_in(folder).nights)


def test_a_slower_case_has_its_change_and_the_commits_between_which_it_came(tmp_path: Path) -> None:
    for day, us in enumerate([*STEADY, 11.0, 11.1]):
        a_night(tmp_path, day, launches_of(us), commit=f"c{day}")
    title, table, slower, _, result = show(series_in(tmp_path)).split("\n\n")
    assert title == "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain · H200"
    assert table.splitlines()[-1].split() == [
        "mpi", "4", "KiB", "10", "2026-09-01", "2026-09-10", "11.10", "10.00", "+11.0", "2.0", "slower",
    ]  # fmt: skip
    assert slower == "- slower since 2026-09-09, commits c7 → c8: mpi 4 KiB +11.0 %"
    assert result == "slower: 1 of 1 case with a verdict (mpi 4 KiB +11.0 %)"


def test_machines_and_panels_have_tables_of_their_own(tmp_path: Path) -> None:
    a_night(tmp_path, 0, [*launches_of(10.0), *launches_of(20.0, dtype="int32")])
    a_night(tmp_path, 1, launches_of(5.0), gpu="H100")
    assert [line for line in show(series_in(tmp_path)).splitlines() if " · " in line] == [
        "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain · H200",
        "all_reduce · int32 · sum · 4 ranks on 1 node (shm) · chain · H200",
        "all_reduce · float32 · sum · 4 ranks on 1 node (shm) · chain · H100",
    ]


def test_nights_without_a_point_with_fewer_launches_and_new_versions_are_named(tmp_path: Path) -> None:
    for day in range(10):
        one = [untimed("wrong")] if day == 3 else launches_of(10.0, 1 if day == 5 else 3)
        other = launches_of(20.0 * (1.1 if day >= 6 else 1.0), backend="nccl")
        a_night(tmp_path, day, [*one, *other], driver=12080 if day < 6 else 13000)
    shown = show(series_in(tmp_path))
    assert "- 2026-09-04: wrong: mpi 4 KiB\n" in shown
    assert "- 2026-09-06: 1 launch instead of 3: mpi 4 KiB\n" in shown
    assert (
        "- 2026-09-07: driver 12.8 → 13.0; medians after and before: +0.0 % (mpi 4 KiB) to +10.0 % (nccl 4 KiB)\n"
        in shown
    )
    assert "9 of 10" in shown
    assert shown.count("no verdict: 4 nights with these versions, 7 are needed") == 2


def test_a_night_that_is_bad_for_many_cases_has_one_line_and_old_lines_are_left_out(tmp_path: Path) -> None:
    for day in range(15):
        bad = [untimed("failed", bytes=1 << place) for place in range(4, 12)]
        a_night(tmp_path, day, bad if day else [row for each in bad for row in launches_of(9.0, bytes=each.bytes)])
    lines = [line for line in show(series_in(tmp_path)).splitlines() if line.startswith("- ")]
    assert lines[0] == "- 4 earlier lines left out"
    assert lines[-1] == "- 2026-09-15: failed: mpi 16 B, mpi 32 B, mpi 64 B, mpi 128 B and 4 more cases"
    assert len(lines) == 11


def test_a_last_night_without_a_point_shows_its_status(tmp_path: Path) -> None:
    nights_of(tmp_path, STEADY)
    a_night(tmp_path, 8, [untimed("wrong")])
    row = show(series_in(tmp_path)).splitlines()[4]
    assert "8 of 9" in row
    assert " WRONG " in row
    assert row.endswith("no verdict: wrong on 2026-09-09")


def test_json_has_every_night(tmp_path: Path) -> None:
    nights_of(tmp_path, [*STEADY, 11.0, 11.0])
    a_night(tmp_path, 10, [untimed("wrong")])
    (found,) = json.loads(show(series_in(tmp_path), Form.JSON))
    assert (found["verdict"], found["reason"], found["last_us"]) == (None, "wrong on 2026-09-11", None)
    assert (found["backend"], found["bytes"], found["machine"], found["nights"]) == ("mpi", 4096, "H200", 10)
    assert found["versions"]["nccl"] == "2.28.9"
    assert [point["us"] for point in found["points"]] == [*STEADY, 11.0, 11.0, None]
    assert (found["points"][-1]["time"], found["points"][-1]["status"]) == ("2026-09-11T22:00:00+00:00", "wrong")


def test_markdown_has_the_same_rows(tmp_path: Path) -> None:
    nights_of(tmp_path, [*STEADY, 11.0, 11.0])
    rows = [line for line in show(series_in(tmp_path), Form.MARKDOWN).splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in rows[-1].strip("|").split("|")][-3:] == ["+10.0", "2.0", "slower"]
