"""Charts of nights: lines, marks of versions, dates that do not overlap."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from charts import foot, legend, title
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from nights import a_night, launches_of
from samples import untimed

from collbench.results.nights import nights_in
from collbench.results.records import Record
from collbench.results.series import Series, series_of
from collbench.views import page
from collbench.views.palette import RED
from collbench.views.timelines import chart, draw_all, sizes_shown


def series_in(folder: Path) -> list[Series]:
    """The judged series of a folder."""
    return series_of(nights_in(folder).nights)


def drawn(folder: Path) -> Figure:
    """The chart of a folder of one panel, with its layout done."""
    with page.look():
        figure = chart(series_in(folder))
        figure.draw_without_rendering()
    return figure


def lines(figure: Figure, marker: str) -> list[Line2D]:
    """The lines of the first pane with this marker."""
    return [line for line in figure.axes[0].lines if line.get_marker() == marker]


def rows(us: float, sizes: int = 1, **cells: Any) -> list[Record]:
    """A case with the same latency at so many sizes."""
    return [row for place in range(sizes) for row in launches_of(us, bytes=4096 << place, **cells)]


def test_points_are_per_cent_of_what_came_before(tmp_path: Path) -> None:
    for day, us in enumerate([10.0] * 8 + [11.0, 12.0]):
        a_night(tmp_path, day, rows(us))
    figure = drawn(tmp_path)
    values = [round(float(y), 6) for y in cast(list[float], lines(figure, "o")[0].get_ydata())]
    assert values == [0.0] * 8 + [10.0, 20.0]
    ring = [line for line in lines(figure, "o") if same_color(line.get_color(), RED)]
    assert [len(cast(list[float], line.get_xdata())) for line in ring] == [2]
    assert "Slower: mpi 4 KiB +20.0 %" in [text.get_text() for text in figure.texts]
    assert title(figure).endswith("chain · H200")
    assert figure.axes[0].get_title("left") == "4 KiB · mpi 12.00 µs"


def test_a_change_of_versions_is_marked_in_every_pane_and_explained(tmp_path: Path) -> None:
    for day in range(12):
        a_night(
            tmp_path, day, rows(10.0, 2), driver=12080 if day < 4 else 13000, nccl="2.28.9" if day < 8 else "2.29.1"
        )
    figure = drawn(tmp_path)
    assert [[text.get_text().strip() for text in axes.texts] for axes in figure.axes] == [["a", "b"]] * 2
    assert "a: 2026-09-05 driver 12.8 → 13.0, b: 2026-09-09 nccl 2.28.9 → 2.29.1." in foot(figure)


def test_nights_without_a_point_and_with_fewer_launches_have_marks(tmp_path: Path) -> None:
    for day in range(9):
        a_night(tmp_path, day, [untimed("wrong")] if day == 3 else launches_of(10.0, 1 if day == 5 else 3))
    figure = drawn(tmp_path)
    (cross,) = lines(figure, "x")
    assert len(cast(list[float], cross.get_xdata())) == 1
    assert [len(cast(list[float], line.get_xdata())) for line in lines(figure, "o")] == [8, 1]


@pytest.mark.parametrize("nights", [1, 2, 3, 7, 30, 90, 400])
def test_dates_do_not_overlap(tmp_path: Path, nights: int) -> None:
    for day in range(nights) if nights < 90 else (*range(0, nights, 10), nights - 1):
        a_night(tmp_path, day, rows(10.0, 3))
    figure = drawn(tmp_path)
    for axes in figure.axes[1:]:
        labels = [label for label in axes.get_xticklabels() if label.get_text() and label.get_visible()]
        low, high = axes.get_xlim()
        boxes = [label.get_window_extent() for label in labels if low <= label.get_position()[0] <= high]
        assert len(boxes) >= 2
        assert all(one.x1 < other.x0 for one, other in zip(boxes, boxes[1:], strict=False))


def test_lines_share_a_pane_for_each_size(tmp_path: Path) -> None:
    for day in range(3):
        a_night(tmp_path, day, [*rows(10.0, 4), *rows(5.0, 4, backend="nccl")])
    figure = drawn(tmp_path)
    assert list(legend(figure)) == ["mpi", "nccl"]
    assert [axes.get_title("left").split(" · ")[0] for axes in figure.axes] == ["4 KiB", "8 KiB", "16 KiB", "32 KiB"]


def test_sizes_with_a_slower_case_are_shown_before_others(tmp_path: Path) -> None:
    for day in range(9):
        late = 12.0 if day > 6 else 10.0
        sizes = [(place, late if place in (4, 9) else 10.0) for place in range(15)]
        a_night(tmp_path, day, [row for place, us in sizes for row in launches_of(us, bytes=4096 << place)])
    every = series_in(tmp_path)
    assert sizes_shown(every) == [4096 << place for place in (0, 4, 5, 9, 10, 14)]
    others = [each for each in every if not each.is_slower]
    assert sizes_shown(others) == [4096 << place for place in (0, 2, 6, 8, 12, 14)]
    assert sizes_shown(every[:2]) == [4096, 8192]


def test_a_chart_for_each_machine_and_panel(tmp_path: Path) -> None:
    (tmp_path / "nights").mkdir()
    for day, gpu in enumerate(("H100", "H200")):
        a_night(tmp_path / "nights", day, [*rows(10.0), *rows(9.0, dtype="int32")], gpu=gpu)
    paths = draw_all(series_in(tmp_path / "nights"), tmp_path / "plots", "nights")
    assert sorted(path.name for path in paths if path.suffix == ".png") == [
        "nights-history-f32-H100.png", "nights-history-f32-H200.png", "nights-history-int32-H100.png",
        "nights-history-int32-H200.png",
    ]  # fmt: skip
    assert all(path.stat().st_size > 1000 for path in paths)
