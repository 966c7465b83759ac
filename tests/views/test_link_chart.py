"""The matrix of hosts: a cell for each pair on both sides of the diagonal, slow ones in their colour."""

from __future__ import annotations

from itertools import combinations

import pytest
from charts import Draw, a_run, foot, title
from matplotlib.colors import to_rgb
from samples import timed

from collbench.results.records import Record
from collbench.views import figures
from collbench.views.matrix import SHADES, shade
from collbench.views.page import look


def run(hosts: int, slow: str = "", **changes: object) -> list[Record]:
    names = [f"node{index + 1}" for index in range(hosts)]
    return [
        timed((4 if size > 4096 else 1) * (30.0 if pair == slow else 10.0), bytes=size, pair=pair, busbw_gb_s=1.5,
              **{"collective": "send_recv", "op": "", "nodes": 2, "fabric": "tcp", **changes})
        for pair in map("+".join, combinations(names, 2))
        for size in (4096, 65536, 1 << 20)
    ]  # fmt: skip


def test_latency_at_the_smallest_and_bandwidth_at_the_largest_size(draw: Draw) -> None:
    drawn = draw(run(4, slow="node1+node3"))
    assert list(drawn) == ["x-pairs"]
    figure = drawn["x-pairs"]
    assert title(figure).startswith("mpi: send and receive of float32 on 4 CPU ranks (2 nodes, TCP)")
    assert "Each cell: a pair of hosts" in foot(figure)
    left, right = figure.axes
    assert [axes.get_title(loc="left") for axes in (left, right)] == [
        "latency (µs) at 4 KiB",
        "bandwidth (GB/s) at 1 MiB",
    ]
    assert sorted({text.get_text() for text in left.texts}) == ["10.00", "30.00"]
    assert {text.get_text() for text in right.texts} == {"1.50"}
    assert len(left.texts) == 4 * 3
    image = left.images[0].get_array()
    assert image is not None
    assert tuple(image[0, 2]) == tuple(image[2, 0]) == to_rgb(SHADES[-1][1])
    assert tuple(image[0, 1]) == to_rgb(SHADES[0][1])
    assert tuple(image[1, 1]) == (1.0, 1.0, 1.0), "no host is a pair with itself"


def test_worlds_and_pairs_of_one_file_have_charts_of_their_own(draw: Draw) -> None:
    worlds = [timed(9.0, bytes=size) for size in (4096, 65536)]
    names = set(draw([*worlds, *run(3), *run(3, backend="nccl")]))
    assert {"x-latency", "x-bandwidth", "x-pairs-mpi", "x-pairs-nccl"} <= names


def test_many_hosts_have_colours_without_numbers(draw: Draw) -> None:
    figure = draw(run(70))["x-pairs"]
    assert all(len(axes.texts) == 0 for axes in figure.axes)
    assert max(figure.get_size_inches()) <= 26


@pytest.mark.parametrize(("ratio", "place"), [(0.3, 0), (1.05, 0), (1.06, 1), (1.3, 2), (9.0, 3)])
def test_the_slower_the_darker(ratio: float, place: int) -> None:
    assert shade(ratio) == SHADES[place][1]


def test_two_runs_have_a_matrix_each() -> None:
    before, after = run(3), run(3, run_id="later")
    with look():
        names = {chart.name for chart in figures.charts([a_run(before), a_run(after, "y")])}
    assert names == {"pairs-before", "pairs-after"}
