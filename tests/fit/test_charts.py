"""Charts of the fits of a file: which there are, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from readmes import ROOT
from samples import timed

from collbench.fit import charts
from collbench.fit.charts import BELOW, FITTED
from collbench.fit.files import fit_file
from collbench.results.records import Record, load
from collbench.views.curves import Curve
from collbench.views.page import Frame

SIZES = [4096 << step for step in range(6)]
Drawn = list[tuple[Frame, tuple[list[Curve], list[Curve], list[Curve]]]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What is handed to the chart, which is not drawn."""
    found: Drawn = []
    monkeypatch.setattr(charts, "fit_chart", lambda frame, *lines: found.append((frame, lines)))
    monkeypatch.setattr("collbench.views.page.save", lambda figure, path: [path])
    return found


def draw(rows: list[Record], path: Path = Path("x.csv")) -> list[str]:
    return [each.name for each in charts.draw_all(fit_file(path, rows), Path("plots"), print)]


def test_there_is_a_chart_for_each_world(drawn: Drawn) -> None:
    path = ROOT / "results/tcp-nodes.csv"
    assert draw(load(path), path) == ["tcp-nodes-fit-4r-2n", "tcp-nodes-fit-6r-3n", "tcp-nodes-fit-8r-4n"]
    frame, (laws, measured, errors) = drawn[1]
    assert frame.title == "Fit of all-reduce of float32 on 6 CPU ranks (3 nodes, TCP), calls in a chain"
    assert f"{FITTED}, and to other worlds of the file." in frame.foot
    for curves in (laws, measured, errors):
        assert [curve.name for curve in curves] == ["mpi", "mpi-nvrar", "mpi-ring"]
    assert measured[2].y[0] == pytest.approx(7463, rel=1e-3)
    assert errors[0].x == measured[0].x
    assert all(low <= y <= high for law in laws for low, y, high in zip(law.low, law.y, law.high, strict=True))


def test_one_world_with_few_sizes_has_no_errors_below(drawn: Drawn) -> None:
    assert draw([timed(10.0 + step, bytes=size) for step, size in enumerate(SIZES[:4])]) == ["x-fit"]
    frame, (_, _, errors) = drawn[0]
    assert errors == []
    assert f"{FITTED}. Range" in frame.foot
    assert BELOW not in frame.foot


def test_errors_are_measured_over_predicted(drawn: Drawn) -> None:
    draw([timed(100.0 if size == SIZES[2] else 10.0, bytes=size) for size in SIZES])
    (_, (_, _, (errors,))) = drawn[0]
    assert errors.y[2] == pytest.approx(10, rel=0.1)
    assert errors.y[0] == pytest.approx(1, rel=0.3)
