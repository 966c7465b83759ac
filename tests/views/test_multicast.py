"""One line says under tables and charts that multicast was there and switched off."""

from __future__ import annotations

from pathlib import Path

import pytest
from charts import Draw, words
from click.testing import CliRunner
from samples import timed

from collbench.cli.main import cli
from collbench.printer.plain import plain_page
from collbench.results.records import Record, dump
from collbench.views import summary
from collbench.views.multicast import remark

OFF = "cache=hot;calls=3;multicast=off"
LINE = "NVLink multicast was switched off for {}, though these GPUs have it: with it, they may be faster."


def rows(*off: str) -> list[Record]:
    names = ("nccl", "nccl-symm", "nvrar", "nvshmem")
    return [timed(9.0, backend=name, params=OFF if name in off else "cache=hot;calls=3") for name in names]


@pytest.mark.parametrize(
    ("off", "listed"),
    [
        (["nccl"], "nccl"),
        (["nvshmem", "nccl"], "nccl and nvshmem"),
        (["nccl", "nccl-symm", "nvshmem"], "nccl, nccl-symm and nvshmem"),
    ],
)
def test_the_backends_are_named(off: list[str], listed: str) -> None:
    assert remark(rows(*off)) == [LINE.format(listed)]


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert remark([]) == []
    assert remark(rows()) == []
    assert "multicast" not in plain_page(summary.page(rows()))


def test_it_stands_once_under_tables_and_in_the_foot_of_charts(draw: Draw, tmp_path: Path) -> None:
    found = rows("nccl")
    assert plain_page(summary.page(found)).count(LINE.format("nccl")) == 1
    figures = draw(found)
    assert len(figures) >= 2
    assert all(LINE.format("nccl") in words(figure) for figure in figures.values())
    path = tmp_path / "r.csv"
    path.write_text(dump(found), encoding="utf-8")
    shown = {form: CliRunner().invoke(cli, ["compare", str(path), *form]).output for form in ((), ("--json",))}
    assert [LINE.format("nccl") in text for text in shown.values()] == [True, False]
