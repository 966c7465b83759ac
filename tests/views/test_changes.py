"""The chart of changes with their intervals and the margin."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from charts import legend, numbers, title, words
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from collbench.views.changes import LOOKS, Change, below, change_chart
from collbench.views.page import COLUMNS, SCREEN, Page, look

SAME = Change(4096, 0.1, -0.5, 0.7, 2.0, "same")
SLOWER = Change(8192, 5.2, 3.9, 6.6, 3.0, "slower")
MISSING = Change(16384, None, None, None, 2.0, "missing")


def drawn(*changes: Change, page: Page = SCREEN) -> Figure:
    with look(page):
        return change_chart(changes, "Change of nvrar", "7 launches", page)


def shaded(figure: Figure) -> list[tuple[float, float]]:
    (area,) = (shape for shape in figure.axes[0].collections if isinstance(shape, PolyCollection))
    points = [np.asarray(path.vertices) for path in area.get_paths()]
    return [(float(x), float(y)) for part in points for x, y in part]


def test_every_size_has_the_mark_of_its_verdict_and_its_interval() -> None:
    figure = drawn(SAME, SLOWER, MISSING)
    points = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    shown = [(numbers(line.get_xdata()), numbers(line.get_ydata()), line.get_marker()) for line in points]
    assert shown == [([4096], [0.1], "o"), ([8192], [5.2], "^"), ([16384], [0], "x")]
    bars = [shape for shape in figure.axes[0].collections if isinstance(shape, LineCollection)]
    assert [[point[1] for point in bar.get_segments()[0]] for bar in bars] == [[-0.5, 0.7], [3.9, 6.6]]
    assert list(legend(figure)) == ["slower", "same", "missing", "margin"]
    assert (title(figure), words(figure)) == ("Change of nvrar", "7 launches")


def test_the_margin_of_each_size_is_shaded_as_far_down_as_up_in_ratio() -> None:
    heights = sorted({height for _, height in shaded(drawn(SAME, SLOWER))})
    assert heights == pytest.approx([below(3.0), below(2.0), 2.0, 3.0])
    assert (1 + below(50) / 100) * 1.5 == pytest.approx(1)
    edge = math.sqrt(4096 * 8192)
    assert any(x == pytest.approx(edge) for x, _ in shaded(drawn(SAME, SLOWER)))


def test_the_axis_holds_changes_and_margins_but_no_interval_of_any_length() -> None:
    figure = drawn(SAME, SLOWER, replace(SAME, size=1 << 20, low=-99.0, high=4000.0, verdict="unclear"))
    low, high = figure.axes[0].get_ylim()
    assert -low == high
    assert 6.6 < high < 20


@pytest.mark.parametrize("changes", [[replace(SAME, percent=0.0, low=None, high=None, margin=0.0)], [MISSING]])
def test_a_single_size_or_none_with_a_change_is_drawn(changes: list[Change]) -> None:
    low, high = drawn(*changes).axes[0].get_ylim()
    assert low < 0 < high


def test_a_margin_that_is_not_known_shades_nothing_there() -> None:
    figure = drawn(SAME, replace(MISSING, margin=math.nan))
    assert all(math.isfinite(end) for end in figure.axes[0].get_ylim())


def test_other_verdicts_are_named_and_labels_have_signs() -> None:
    figure = drawn(replace(SLOWER, verdict="new"), page=COLUMNS["one"])
    assert "new" not in LOOKS
    assert list(legend(figure)) == ["new", "margin"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert {"0 %", "+5 %", "-5 %"} <= set(labels)
