"""Machine, commands and the rows themselves."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from pathlib import Path

import pytest
from nights import a_night, launches_of, sidecar
from pages import read

from collbench.report.origins import data_section, machine_section
from collbench.report.sections import MOST_ROWS

NAMES = ("run.csv", "javascript:alert(1).csv", "<img src=x>.csv", '"onclick=x.csv', "a b&c#d?e%f.csv", "é中.csv")


def with_sidecar(path: Path, **entry: object) -> Path:
    """A sidecar beside ``path`` with these facts in its first launch."""
    known = json.loads(sidecar("2026-09-01T22:00:00+00:00", launches=2))
    known["launches"][0] |= entry
    path.with_suffix(".json").write_text(json.dumps(known))
    return path


def silent(words: str) -> None:
    raise AssertionError(words)


def test_machine_versions_variables_and_commands_are_those_of_the_sidecar(tmp_path: Path) -> None:
    argv = ["sweep", "--only", "a b", "-o", "x.csv"]
    path = with_sidecar(tmp_path / "run.csv", argv=argv, variables={"NCCL_ALGO": "<Tree>"})
    reader = read(machine_section([path], silent).html())
    cells = [each.text for each in reader.of("tr")]
    assert "GPUH200" in cells
    assert "NCCL2.28.9" in cells
    assert "NCCL_ALGO<Tree>" in cells
    assert "collbenchabc" in cells
    assert [each.text for each in reader.of("code")] == ["collbench sweep --only 'a b' -o x.csv"]


def test_without_a_sidecar_that_is_said_and_a_damaged_one_is_a_warning(tmp_path: Path) -> None:
    assert "No file has a sidecar" in machine_section([tmp_path / "run.csv"], silent).html()
    (tmp_path / "run.json").write_text("{")
    said: list[str] = []
    machine_section([tmp_path / "run.csv"], said.append)
    assert len(said) == 1
    assert "is not a sidecar" in said[0]


def test_imported_rows_name_their_source_their_tool_and_what_was_not_understood(tmp_path: Path) -> None:
    source = {
        "file": "<a>.log",
        "tool": "nccl-tests",
        "version": "2.13",
        "not_understood": ["4", "7-9"],
        "command": ["x", "-b", "8 M"],
    }
    path = with_sidecar(tmp_path / "run.csv", imported=source)
    cells = [each.text for each in read(machine_section([path], silent).html()).of("tr")]
    for words in ("imported from<a>.log, nccl-tests 2.13", "measured withx -b '8 M'", "lines not understood4, 7-9"):
        assert words in cells


def test_files_that_were_measured_alike_share_a_table_whatever_their_times_and_commits(tmp_path: Path) -> None:
    paths = [a_night(tmp_path, day, launches_of(1.0), commit=f"c{day}") for day in range(6)]
    paths.append(a_night(tmp_path, 6, launches_of(1.0), nccl="2.99"))
    reader = read(machine_section(paths, silent).html())
    assert [each.text.split(".csv")[-1] for each in reader.of("h3")] == [" and 2 more files", ""]
    cells = [each.text for each in reader.of("tr")]
    assert "collbenchc0, c1, c2, c3 and 2 more commits" in cells
    assert "started2026-09-01T22:00:00+00:00 to 2026-09-06T22:02:00+00:00" in cells


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_in_the_page_byte_for_byte(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\n")
    (link,) = read(data_section([tmp_path / name], tmp_path).html()).of("a")
    head, _, packed = link.attributes["href"].partition(",")
    assert (head, link.attributes["download"], link.text) == ("data:application/gzip;base64", f"{name}.gz", name)
    assert gzip.decompress(b64decode(packed)) == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_many_rows_are_linked_by_a_path_relative_to_the_page(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"a\n" * (MOST_ROWS + 2))
    section = data_section([tmp_path / name], tmp_path / "pages").html()
    (link,) = read(section).of("a")
    assert link.attributes["href"].startswith("./../")
    assert not set("<>\"' :?#") & set(link.attributes["href"])
    assert "more than 10,000 rows" in section
    (tmp_path / name).write_bytes(b"a\n" * (MOST_ROWS + 1))
    assert "more than" not in data_section([tmp_path / name], tmp_path).html()
