"""compare --against: the site's own logs, exit codes, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from foreign_logs import nccl_tests
from published import WORLD, fabric, like, sockets
from running import Here
from samples import untimed

from collbench.results.published import Figures, find
from collbench.results.records import Record, dump


def a_file(path: Path, *rows: Record) -> str:
    path.write_text(dump(rows))
    return str(path)


def a_log(path: Path, figures: Figures) -> str:
    """What nccl-tests printed on the site."""
    times = {size: (figures.points[size, False], figures.points[size, True]) for size, _ in figures.points}
    rows = [
        f" {size}  {size // 4}  float  sum  -1  {us}  1.0  1.75  0  {in_place}  1.0  1.75  0"
        for size, (us, in_place) in times.items()
    ]
    path.write_text(nccl_tests(rows).replace("NVIDIA H100 80GB HBM3", figures.gpu))
    return str(path)


@pytest.mark.parametrize(("figures", "code", "words"), [
    (fabric(), 0, "as published at 50 of 50 cases"),
    (sockets(), 4, "looks like sockets at "),
])  # fmt: skip
def test_the_logs_of_the_site_itself(here: Here, tmp_path: Path, figures: Figures, code: int, words: str) -> None:
    assert here("import", a_log(tmp_path / "a.log", figures), "-o", "a.csv").code == 0
    ran = here("compare", "a.csv", "--against", "cscs-alps")
    assert (ran.code, words in ran.out.splitlines()[-1]) == (code, True)
    assert "GPU:" not in ran.out, "the same as published"


@pytest.mark.parametrize(("status", "code"), [("wrong", 3), ("timeout", 5), ("failed", 6)])
def test_a_case_without_a_latency_decides_the_exit_code(here: Here, tmp_path: Path, status: str, code: int) -> None:
    bad = untimed(status, "why", **WORLD, bytes=16, latency_us_mean=None)
    path = a_file(tmp_path / "a.csv", *like(fabric()), bad)
    assert here("compare", path, "--against", "cscs-alps").code == code


def test_forms_conditions_and_backends(here: Here, tmp_path: Path) -> None:
    rows = [each for row in like(fabric()) for each in (row, replace(row, backend="nvrar", latency_us_mean=1.0))]
    command = ("compare", a_file(tmp_path / "a.csv", *rows), "--against", "cscs-alps", "--only", "bytes=8")
    (row,) = json.loads(here(*command, "--json", "--backend", "nvrar").out)
    assert (row["backend"], row["verdict"], row["site"]) == ("nvrar", "faster", "cscs-alps")
    assert here(*command, "--markdown").out.startswith("**nccl against cscs-alps: as published at 1 of 1 case**")
    assert "\\toprule" in here(*command, "--latex").out


def test_refusals(here: Here, tmp_path: Path) -> None:
    path = a_file(tmp_path / "a.csv", *like(fabric(), dtype="bfloat16"))
    for words, *arguments in (
        ("omit b.csv", path, "b.csv", "--against", "cscs-alps"),
        ("cscs-alps has no figures for the type bfloat16", path, "--against", "cscs-alps"),
        ("unknown site 'vista'; known: cscs-alps.", path, "--against", "vista"),
        ("mine.toml does not exist", path, "--against", "mine.toml"),
    ):
        ran = here("compare", *arguments)
        assert (ran.code, ran.out, words in ran.err) == (2, "", True)
    assert "[known:cscs-alps]" in "".join(here("compare", "--help").out.split())


def test_a_file_of_ones_own(here: Here, tmp_path: Path) -> None:
    text = (Path(find.__code__.co_filename).parent / "sites" / "cscs-alps.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("[8, 17.93, 17.72]", "[8, 1.0]"))
    ran = here("compare", a_file(tmp_path / "a.csv", *like(fabric())), "--against", "mine.toml")
    assert ran.code == 4
    assert "nccl against mine: as published at 2, slower at 1 of 3 cases" in ran.out
