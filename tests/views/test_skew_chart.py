"""The chart of latency against skew: which lines it has, where, and what it says."""

from __future__ import annotations

import pytest
from charts import Draw, a_run, foot, legend, numbers, row, title, words
from matplotlib.figure import Figure

from collbench.errors import UsageError
from collbench.results.records import Record
from collbench.views import page
from collbench.views.chart_set import ChartOptions
from collbench.views.figures import charts
from collbench.views.scales import skew_axis, skew_places

SIZES = (8192, 65536)
SKEWS = ("0", "2us", "50us")


def late(
    backend: str, us: float, skew: str, size: int = SIZES[0], wait: float | None = None, **fields: object
) -> Record:
    """A row whose first rank waits for as long as the skew."""
    waiting = float(skew.split("us", maxsplit=1)[0]) if wait is None else wait
    return row(backend, size, us, skew=skew, mode="isolated", first_us_median=us + waiting, **fields)


ROWS = [late(name, us, skew, size) for name, us in (("nccl", 12.0), ("nvrar", 5.0)) for skew in SKEWS for size in SIZES]


def lines_of(figure: Figure, axes: int, dashed: bool) -> list[list[float]]:
    """The heights of the dashed or of the solid lines that have several points."""
    found = [each for each in figure.axes[axes].lines if len(numbers(each.get_xdata())) > 1]
    return [numbers(each.get_ydata()) for each in found if (each.get_linestyle() == "--") is dashed]


def test_transfer_is_solid_and_waiting_is_dashed(draw: Draw) -> None:
    (figure,) = [figure for name, figure in draw(ROWS).items() if name == "x-skew"]
    assert title(figure).startswith("Every rank late at random: all-reduce of float32 on 4 GPUs")
    assert [axes.get_title("left") for axes in figure.axes] == ["8 KiB", "64 KiB"]
    for axes in (0, 1):
        assert sorted(lines_of(figure, axes, dashed=False)) == [[5.0] * 3, [12.0] * 3]
        assert sorted(lines_of(figure, axes, dashed=True)) == [[5.0, 7.0, 55.0], [12.0, 14.0, 62.0]]
    assert [legend(figure)[name].get_linestyle() for name in ("waiting and transfer", "transfer")] == ["--", "-"]
    assert "Waiting and transfer: latency from the first arrival. Transfer: latency from the last" in words(figure)
    assert "Each rank is late by a random time up to the skew, drawn for each sample." in words(figure)


def test_late_ranks_are_in_no_other_chart(draw: Draw) -> None:
    assert list(draw(ROWS)) == ["x-skew"]
    together = [row(name, size, 9.0, mode="isolated") for name in ("nccl", "nvrar") for size in SIZES]
    figures = draw([*ROWS, *together])
    assert set(figures) == {"x-skew", "x-latency", "x-bandwidth", "x-best"}
    assert "skew" not in foot(figures["x-latency"])


def test_one_late_rank_has_a_chart_of_its_own(draw: Draw) -> None:
    figures = draw([*ROWS, *(late("nccl", 11.0, "50us:3", size) for size in SIZES)])
    assert sorted(figures) == ["x-skew", "x-skew-rank3"]
    assert title(figures["x-skew-rank3"]).startswith("Rank 3 late: ")
    assert [12.0, 11.0] in lines_of(figures["x-skew-rank3"], 0, dashed=False)
    assert "Rank 3 is late by the skew." in words(figures["x-skew-rank3"])


def test_of_many_sizes_four_are_shown(draw: Draw) -> None:
    figure = draw([late("nccl", 9.0, skew, 4096 << power) for skew in SKEWS for power in range(8)])["x-skew"]
    assert [axes.get_title("left") for axes in figure.axes] == ["4 KiB", "16 KiB", "128 KiB", "512 KiB"]


def test_cases_that_went_wrong_are_marked_and_alone_make_no_chart(draw: Draw) -> None:
    bad = row("nccl", SIZES[0], None, status="wrong", skew="2us", mode="isolated")
    good = [each for each in ROWS if each.skew != "2us" or each.backend != "nccl"]
    assert "wrong" in legend(draw([*good, bad])["x-skew"])
    with pytest.raises(UsageError, match="no case in these results has a latency"):
        draw([bad])


def test_of_two_runs_the_transfers_are_compared() -> None:
    after = [late(each.backend, 4.0, each.skew, each.bytes) for each in ROWS]
    with page.look():
        (chart,) = charts([a_run(ROWS, "old"), a_run(after, "new")], ChartOptions())
    assert chart.name == "skew"
    assert sorted(lines_of(chart.figure, 0, dashed=True)) == [[5.0] * 3, [12.0] * 3]
    assert lines_of(chart.figure, 0, dashed=False) == [[4.0] * 3] * 2
    assert "before (old)" in legend(chart.figure)
    assert "Waiting" not in words(chart.figure)
    assert ". Transfer: latency from the last arrival." in words(chart.figure)


def test_no_skew_is_before_the_shortest_on_a_logarithmic_axis() -> None:
    assert skew_places([0.0, 5.0, 20.0]) == {0.0: 2.0, 5.0: 5.0, 20.0: 20.0}
    assert skew_places([0.0]) == {0.0: 0.4}


def test_ticks_that_have_no_room_are_left_out() -> None:
    def ticks(width: float, skews: list[float]) -> list[str]:
        with page.look():
            axes = Figure().subplots()
            skew_axis(axes, skew_places(skews), width, page.SCREEN)
            places = axes.get_xticks()
            return [str(axes.xaxis.get_major_formatter()(place)) for place in places]

    assert ticks(3, [0, 2, 5, 10, 20, 50, 100]) == ["0", "2", "5", "10", "20", "50", "100"]
    assert ticks(1, [0, 2, 5, 10, 20, 50, 100]) == ["0", "2", "5", "20", "100"]
    assert ticks(2, [0.5, 1000]) == ["0.5", "1,000"]
