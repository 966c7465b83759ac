"""Charts as the script of the page reads them."""

from __future__ import annotations

import math

from pages import read

from collbench.report.charts import Axis, Chart, Line, Pane, Point, figure_html, plain

AXIS = Axis("size", "log", ((4096, "4 KiB"), (8192, "8 KiB")))


def a_chart(name: str = "chart1", *lines: Line, views: int = 1) -> Chart:
    """A chart with a pane for each of its views."""
    pane = Pane("latency", "µs", "median", lines or [Line("nccl", 0, [Point(4096, 1.0)])])
    return Chart(name, "Times", AXIS, {f"view {place}": [pane] for place in range(views)}, "how to read it")


def test_points_are_short_and_keep_five_digits() -> None:
    words: dict[str, int] = {"first": 0}
    places = {4096.0: 0, 8192.0: 1}
    assert Point(8192, 1.23456789).plain(places, words) == [1, 1.2346]
    assert Point(4096, 2.0, 1.5, 3.0, 3, "slower").plain(places, words) == [0, 2, 1.5, 3, 3, 1]
    assert Point(4096, 1.0, interval=(0.5, 2.0), each=(1.0, 1.1)).plain(places, words)[6:] == [0.5, 2, [1, 1.1]]
    assert Point(4096, None, words="wrong: x").plain(places, words) == [0, None, None, None, None, 2]
    assert Point(4096, 1.0, math.nan, math.inf).plain(places, words) == [0, 1]
    assert [*words] == ["first", "slower", "wrong: x"]


def test_words_of_a_pane_and_equal_axes_are_there_once() -> None:
    line = Line("nccl", 0, [Point(4096, 1.0, words="faster"), Point(8192, 1.0, words="faster")])
    data = plain([a_chart("chart1", line), a_chart("chart2", line)])
    assert data["axes"] == [{"label": "size", "kind": "log", "ticks": AXIS.ticks}]
    assert [chart["axis"] for chart in data["charts"].values()] == [0, 0]
    (pane,) = data["charts"]["chart1"]["views"][0]["panes"]
    assert (pane["words"], [point[-1] for point in pane["lines"][0]["p"]]) == (["faster"], [0, 0])


def test_a_figure_has_a_labelled_switch_for_each_name_and_a_choice_of_several_views() -> None:
    lines = (Line("nvrar", 1, [Point(4096, 1.0)]), Line("<b>", 0, [Point(4096, 2.0)], dashed=True))
    reader = read(figure_html(a_chart("chart1", *lines, views=2), [("#0072B2", "o"), ("#D55E00", "D")]))
    assert [each.attributes["value"] for each in reader.of("input")] == ["<b>", "nvrar"]
    assert [each.text.strip() for each in reader.of("label")][:2] == ["<b>", "nvrar"]
    assert [each.text for each in reader.of("option")] == ["view 0", "view 1"]
    assert reader.of("figure")[0].attributes["aria-label"] == "Chart: Times"
    assert reader.of("figcaption")[0].text.startswith("how to read it")
    assert not read(figure_html(a_chart(), [("#0072B2", "o")])).of("select")
