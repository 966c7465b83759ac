"""The chart of fits, from plain numbers."""

from __future__ import annotations

import numpy as np
import pytest
from charts import legend, line, numbers, title
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from collbench.views.curves import Curve
from collbench.views.fits import fit_chart
from collbench.views.page import Frame, look
from collbench.views.palette import styles

SIZES = [4096.0, 65536.0, 1 << 20]
LAW = Curve("mpi", SIZES, [10.0, 20.0, 100.0], [8.0, 16.0, 80.0], [12.0, 24.0, 130.0])
POINTS = Curve("mpi", SIZES, [11.0, 19.0, 120.0])
ERRORS = Curve("mpi", SIZES, [1.1, 0.95, 1.2])


@pytest.fixture
def figure() -> Figure:
    with look():
        return fit_chart(Frame("a fit", "", styles(["mpi"])), [LAW], [POINTS], [ERRORS])


def test_the_law_is_a_line_and_measurements_are_marks(figure: Figure) -> None:
    assert title(figure) == "a fit"
    assert line(figure, "mpi") == LAW.y
    marks = [shape for shape in figure.axes[0].lines if shape.get_linestyle() == "None"]
    assert [numbers(shape.get_ydata()) for shape in marks] == [POINTS.y]
    assert {name: key.get_linestyle() for name, key in legend(figure).items() if name in ("mpi", "model")} == {
        "mpi": "None",
        "model": "-",
    }


def test_bands_have_edges_of_their_colour(figure: Figure) -> None:
    (band,) = figure.axes[0].collections
    assert np.ravel(band.get_linewidth()).min() > 0
    assert same_color(tuple(np.ravel(band.get_edgecolor())[:3]), styles(["mpi"])["mpi"][0])


def test_the_band_and_all_errors_are_shown(figure: Figure) -> None:
    (low, high), (least, most) = (axes.get_ylim() for axes in figure.axes)
    assert low < 8
    assert high > 130
    assert least < 0.95
    assert most > 1.2
    marks = [shape for shape in figure.axes[1].lines if shape.get_linestyle() == "None"]
    assert numbers(marks[0].get_ydata()) == ERRORS.y


def test_without_errors_there_is_one_panel() -> None:
    with look():
        assert len(fit_chart(Frame("a fit", "", styles(["mpi"])), [LAW], [POINTS], []).axes) == 1


def test_marks_of_two_backends_stand_side_by_side() -> None:
    other = Curve("nccl", SIZES, [1.0, 1.0, 1.0])
    with look():
        figure = fit_chart(Frame("", "", styles(["mpi", "nccl"])), [LAW], [POINTS], [ERRORS, other])
    places = [numbers(shape.get_xdata())[0] for shape in figure.axes[1].lines if shape.get_linestyle() == "None"]
    assert places[0] < 4096 < places[1]
