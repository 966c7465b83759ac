"""The map of the fastest backends: who wins where, by how much, and what ties."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from charts import TWO, Draw, foot, legend, row, rows, tiles, title, words
from matplotlib.figure import Figure
from matplotlib.text import Text

from collbench.views.page import SCREEN, look
from collbench.views.palette import KNOWN
from collbench.views.tiles import LARGEST, grid_of

# The map


def hatches(figure: Figure) -> list[str | None]:
    """The hatch of every tile, row by row."""
    return [patch.get_hatch() for patch in figure.axes[0].patches]


def test_the_map_shows_who_wins_by_how_much(draw: Draw) -> None:
    chain = [row("nccl", 4096, 30.0), row("nvrar", 4096, 10.0), row("nvshmem", 4096, 15.0), row("nvrar", 8192, 10.0)]
    isolated = [row("nccl", 4096, 30.0, mode="isolated"), row("nvrar", 4096, 30.01, mode="isolated")]
    records = [replace(each, launch=launch) for launch in range(3) for each in (*chain, *isolated)]
    figure = draw(records)["x-best"]
    assert title(figure).startswith("Fastest backend: all-reduce of float32 on 4 GPUs (one node, NVLink)")
    assert "another may be as fast (Student's t, for launches like these; 95 % for all 1 to 3 pairs" in words(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["chain", "isolated"]
    shown = tiles(figure)
    assert shown[0, 0] == (KNOWN["nvrar"][0], "1.50")
    assert shown[0, 1] == (KNOWN["nvrar"][0], "only")
    assert shown[1, 0][1] == "≈1.00"
    assert shown[1, 0][0] == KNOWN["nccl"][0]
    assert hatches(figure) == [None, None, "///", None]  # nobody really won
    assert shown[1, 1][1] == "-"
    keys = legend(figure)
    assert list(keys) == ["nccl", "nvrar", "≈ another may be as fast"]
    assert keys["≈ another may be as fast"].get_hatch() == "///"
    assert "Compared: nccl, nvrar, nvshmem." in foot(figure)


def test_a_map_of_one_launch_shows_the_lowest_medians_without_a_verdict(draw: Draw) -> None:
    figure = draw([row(name, 4096, us) for name, us in {"nccl": 30.0, "nvrar": 29.9}.items()])["x-best"]
    assert title(figure).startswith("Lowest median (1 launch: no verdict): ")
    assert tiles(figure)[0, 0] == (KNOWN["nvrar"][0], "1.00")
    assert "may be as fast" not in words(figure)


def test_a_tile_without_a_verdict_is_marked_beside_others(draw: Draw) -> None:
    us = {"nccl": 30.0, "nvrar": 10.0}
    full = [row(name, 4096, us[name], launch=launch) for name in us for launch in range(3)]
    shown = tiles(figure := draw([*full, *(row(name, 8192, us[name]) for name in us)])["x-best"])
    assert (shown[0, 0][1], shown[0, 1][1]) == ("3.00", "?3.00")
    assert hatches(figure) == [None, "..."]
    assert list(legend(figure))[-1] == "? too few launches for a verdict"
    assert "?, dotted: 1 launch: no verdict." in words(figure)


def test_a_wrong_answer_never_wins(draw: Draw) -> None:
    fast = row("nvrar", 4096, 1.0, status="wrong")
    shown = tiles(draw([row("nccl", 4096, 30.0), row("nvshmem", 4096, 60.0), fast])["x-best"])
    assert shown[0, 0] == (KNOWN["nccl"][0], "2.00")


def test_a_wrong_answer_in_one_panel_does_not_hide_the_map(draw: Draw) -> None:
    bad = [replace(record, status="wrong") for record in rows(TWO, mode="isolated") if record.backend == "nvrar"]
    assert "x-best" in draw([*rows(TWO), *rows({"nccl": 20.0}, mode="isolated"), *bad])


def test_a_map_of_a_thousand_sizes_stays_small_and_its_labels_apart(draw: Draw) -> None:
    sizes = [4 * (1000 + step) for step in range(1200)]
    records = [row(name, size, us, mode=mode) for name, us in TWO.items() for size in sizes for mode in ("a", "b")]
    figure = draw(records)["x-best"]
    assert figure.get_figwidth() <= LARGEST
    assert figure.get_figheight() <= LARGEST
    assert not figure.axes[0].texts
    assert "Number" not in foot(figure)
    with look():
        figure.draw_without_rendering()
    for labels, ends in ((figure.axes[0].get_xticklabels(), "x"), (figure.axes[0].get_yticklabels(), "y")):
        spans = sorted(
            (getattr(box, f"{ends}0"), getattr(box, f"{ends}1")) for box in map(Text.get_window_extent, labels)
        )
        assert len(spans) > 1
        assert all(one[1] < other[0] for one, other in pairwise(spans))


def test_a_map_of_many_rows_stays_small() -> None:
    grid = grid_of(["chain · bfloat16"] * 400, 15, SCREEN)
    assert grid.down * 400 <= LARGEST
    assert not grid.has_numbers


def test_no_map_of_one_backend(draw: Draw) -> None:
    assert not any("best" in name for name in draw(rows({"nccl": 10.0})))
