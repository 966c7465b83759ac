"""The command ``fit``: its tables and values, its charts, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from readmes import ROOT
from running import Here
from samples import timed

from collbench.results.records import dump

TCP, NVRAR = str(ROOT / "results/tcp-nodes.csv"), str(ROOT / "results/h200x4-nvrar.csv")


def a_file(folder: Path, sizes: int = 6) -> str:
    rows = [
        timed(10 + 2**size, bytes=4096 << size, backend=name) for size in range(sizes) for name in ("mpi", "mpi-ring")
    ]
    (folder / "x.csv").write_text(dump(rows), encoding="utf-8")
    return str(folder / "x.csv")


def test_a_table_of_laws_and_one_of_crossings(here: Here) -> None:
    ran = here("fit", TCP)
    assert ran.code == 0
    lines = ran.out.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("mpi-nvrar  nvrar"))
    assert ["in a node" in lines[first], "between nodes" in lines[first + 1]] == [True, True]
    intervals = re.findall(r"([\d.,]+) \[([\d.,]+), ([\d.,]+)\]", "".join(lines[first : first + 2]))
    assert len(intervals) == 5
    for interval in intervals:
        middle, low, high = (float(number.replace(",", "")) for number in interval)
        assert low <= middle <= high
    assert "all_reduce · float32 · sum · chain: crossings" in ran.out
    assert ran.out.rstrip().splitlines()[-1].startswith("tcp-nodes.csv: off by ")


def test_values_for_programs(here: Here) -> None:
    found = json.loads(here("fit", TCP, "--backend", "mpi-ring", "--predict", "256K@4x2,64K@8x2", "--json").out)
    (fit,) = found["fits"]
    assert fit["worlds"] == ["2x2", "3x2", "4x2"]
    assert fit["links"][0].keys() == {"in a node", "between nodes"}
    for each in fit["links"][0]["between nodes"].values():
        assert each["low"] < each["value"] < each["high"]
    assert 0 < fit["error_held_out_worlds"] < 0.15
    assert [(each["ranks"], each["nodes"], each["basis"]) for each in found["predictions"]] == [
        (8, 4, "modelled"), (16, 8, "assumed"),
    ]  # fmt: skip
    assert all(each["low_us"] < each["predicted_us"] < each["high_us"] for each in found["predictions"])
    assert all("bound_us" not in each for each in found["predictions"])


def test_a_prediction_without_links_has_a_reason(here: Here) -> None:
    ran = here("fit", NVRAR, "--backend", "nvrar", "--predict", "64K@2x4,64K@1x4", "--markdown")
    assert "no world of several nodes, which 8 ranks on 2 nodes need" in ran.out
    row = next(line for line in ran.out.splitlines() if "| 64 KiB | 1x4 |" in line)
    assert row.endswith("| modelled |")


def test_every_form_and_several_files(here: Here, tmp_path: Path) -> None:
    path = a_file(tmp_path)
    assert r"\toprule" in here("fit", path, "--latex").out
    both = here("fit", path, TCP).out
    assert "x.csv: all_reduce" in both
    assert "tcp-nodes.csv: all_reduce" in both


def test_charts_are_named_after_the_file(here: Here, tmp_path: Path) -> None:
    ran = here("fit", a_file(tmp_path), "-o", str(tmp_path / "plots"))
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["x-fit.png", "x-fit.svg"]
    assert ran.err.splitlines() == [str(tmp_path / "plots" / f"x-fit.{kind}") for kind in ("png", "svg")]


def test_charts_of_two_files_do_not_replace_each_other(here: Here, tmp_path: Path) -> None:
    path = Path(a_file(tmp_path))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x.csv").write_text(path.read_text())
    ran = here("fit", str(path), str(tmp_path / "old" / "x.csv"), "-o", str(tmp_path / "plots"))
    assert (ran.code, (tmp_path / "plots").exists()) == (2, False)
    assert "have the same name" in ran.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--backend", "nccl"), "unknown backend in"),
        (("--predict", "256K"), "names no world"),
        (("--predict", "256K@2by4"), "is not a valid layout"),
        (("--predict", "-4K@2x4"), "is not a valid size"),
        (("--predict", "4K@1x1"), "one rank exchanges nothing"),
        (("--predict", "4K@99999x8"), "more than 131072 ranks"),
        (("--only", "mode=isolated"), "no row has mode=isolated"),
        (("--json", "--latex"), "exclude each other"),
    ],
)
def test_mistakes_get_a_sentence(here: Here, tmp_path: Path, more: tuple[str, ...], words: str) -> None:
    ran = here("fit", a_file(tmp_path), *more)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


def test_files_that_cannot_be_fitted_get_a_sentence(here: Here, tmp_path: Path) -> None:
    few = here("fit", a_file(tmp_path, sizes=2))
    assert (few.code, few.out) == (2, "")
    assert "has 2 sizes of mpi all_reduce; a fit needs 3." in few.err
    (tmp_path / "one.csv").write_text(dump([timed(9.0, ranks=1)]), encoding="utf-8")
    assert "has no latency on two ranks or more to fit" in here("fit", str(tmp_path / "one.csv")).err
    assert here("fit", str(tmp_path / "none.csv")).code == 2


def test_a_curve_with_too_few_sizes_is_named(here: Here, tmp_path: Path) -> None:
    path = Path(a_file(tmp_path))
    path.write_text(path.read_text() + dump([timed(9.0, backend="nccl")], header=False), encoding="utf-8")
    ran = here("fit", str(path))
    assert ran.code == 0
    assert "nccl all_reduce: not fitted" in ran.out
