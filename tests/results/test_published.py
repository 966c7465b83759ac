"""Figures of sites: the shipped ones, and files of site engineers that are refused with the line to mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from readmes import TEXTS

from collbench.errors import UsageError
from collbench.results.published import KEYS, find, names

OWN = """\
library = "nccl"
[[figures]]
collective = "all_gather"
dtype = "bfloat16"
op = ""
ranks = 4
nodes = 2
mode = "chain"
gpu = "NVIDIA H100"
network = "InfiniBand NDR"
tool = "nccl-tests 2.17.1"
statistic = "mean over ranks"
source = "https://docs.example.org/nccl"
date = 2026-05-04
points = [[8, 10], [1024, 12.5, 11.5]]
"""


def own(path: Path, *changes: tuple[str, str]) -> str:
    text = OWN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return str(path)


def busbw(us: float) -> float:
    return (1 << 27) / us / 1000 * 2 * 7 / 8


def test_the_figures_of_cscs() -> None:
    assert "cscs-alps" in names()
    fabric, sockets, single = find("cscs-alps").figures
    assert (fabric.world, sockets.world, single.world) == ("2x4", "2x4", "2x1")
    assert (fabric.points[8, False], fabric.points[1 << 23, False]) == (17.93, 344.5)
    assert round(busbw(fabric.points[1 << 27, False]), 1) == 122.6
    assert round(busbw(sockets.points[1 << 27, False]), 1) == 5.4
    assert len(fabric.points) == len(sockets.points) == 50


@pytest.mark.parametrize("name", names())
def test_every_shipped_figure_has_source_and_date(name: str) -> None:
    for figures in find(name).figures:
        assert ":" in figures.source or "/" in figures.source
        assert figures.date.year >= 2020


def test_a_site_adds_one_file(tmp_path: Path) -> None:
    site = find(own(tmp_path / "mine.toml"))
    assert (site.name, site.figures[0].world) == ("mine", "2x2")
    assert dict(site.figures[0].points) == {(8, False): 10.0, (1024, False): 12.5, (1024, True): 11.5}


def test_the_example_for_site_engineers(tmp_path: Path) -> None:
    section = TEXTS["jobs/README.md"].split("## Figures that a site publishes\n")[1].split("\n## ")[0]
    (example,) = re.findall(r"^```toml\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    path = tmp_path / "mine.toml"
    path.write_text(example)
    site = find(str(path))
    assert (site.published[0].world, len(site.published[0].points), site.cure) == ("2x8", 3, "module load aws-ofi-nccl")
    assert site.sockets(site.published[0]) is site.figures[1]
    assert set(KEYS) == {*re.findall(r"^(\w+) = ", example.split("[[figures]]", 1)[1], re.MULTILINE)}


@pytest.mark.parametrize(("old", "new", "words"), [
    ('library = "nccl"\n', "", "has no library; give library"),
    ("ranks = 4", "ranks = 3", "3 ranks cannot be spread evenly over 2 nodes"),
    ("ranks = 4", "ranks = true", "ranks = True is not a whole number"),
    ("nodes = 2", "nodes = 0", "spread evenly over 0 nodes"),
    ("2026-05-04", '"2026-05-04"', "is not a date, unquoted"),
    ("2026-05-04", "2026-05-04T01:02:03", "is not a date, unquoted"),
    ("date = 2026-05-04\n", "", "figures 1 has no date; give date"),
    ("bfloat16", "bf16", "unknown dtype in"),
    ("all_gather", "allgather", "did you mean 'all_gather'?"),
    ("chain", "graph", "unknown mode in"),
    ("gpu =", "gpus =", "did you mean 'gpu'?"),
    ("[8, 10]", "[8, 0]", "points has [8, 0], which is not [bytes, µs]"),
    ("[8, 10]", "[8]", "points has [8]"),
    ("[8, 10]", "[8.5, 10]", "points has [8.5, 10]"),
    ("[8, 10]", "[1024, 10]", "points has [1024, 12.5, 11.5]"),
    ("[8, 10]", "[8, inf]", "points has [8, inf]"),
    ("[[8, 10], [1024, 12.5, 11.5]]", "[]", "points is empty"),
    ("date =", "conditions = [1]\ndate =", "conditions is not a list of strings"),
    ("date =", "sockets = true\ndate =", "over sockets alone"),
    ("[[figures]]", "figures = [1]\n[x]", "unknown key"),
    ("[[figures]]", "[figures]", "is not a list"),
    ("nccl\"", "nccl", "cannot be read as figures of a site"),
])  # fmt: skip
def test_a_file_that_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        find(own(tmp_path / "mine.toml", (old, new)))
    assert words in str(refused.value)
    assert "mine.toml" in str(refused.value)


def test_the_same_cases_twice_are_refused(tmp_path: Path) -> None:
    _, figures = OWN.split("[[figures]]")
    path = tmp_path / "mine.toml"
    path.write_text(f"{OWN}[[figures]]{figures}")
    with pytest.raises(UsageError, match="all_gather bfloat16  2x2 chain twice"):
        find(str(path))


def test_no_figures_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('library = "nccl"\nfigures = []\n')
    with pytest.raises(UsageError, match="has no figures"):
        find(str(path))
    with pytest.raises(UsageError, match=r"none\.toml does not exist; known sites: cscs-alps"):
        find(str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"unknown site 'perlmutter'; known: cscs-alps\."):
        find("perlmutter")
