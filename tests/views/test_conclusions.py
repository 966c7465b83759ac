"""The conclusion of a run in words: right numbers, right grammar, and none where there is no verdict."""

from __future__ import annotations

import pytest
from samples import timed, untimed

from collbench.results.records import Record
from collbench.views.conclusions import conclusions

KIB, MIB = 1 << 10, 1 << 20


def run(speeds: dict[int, float], launches: int = 3, **changes: object) -> list[Record]:
    """nccl takes 100 us at every size (bytes), nvrar so many times less as ``speeds`` says."""
    return [
        timed(us, backend=name, bytes=size, launch=launch, **changes)
        for size, speed in speeds.items()
        for launch in range(launches)
        for name, us in (("nccl", 100.0), ("nvrar", 100.0 / speed))
    ]


@pytest.mark.parametrize(
    ("speeds", "line"),
    [
        ({4 * KIB: 4.0, MIB: 2.0, 4 * MIB: 1.0}, "nvrar is faster than nccl at 2 of 3 sizes, 2.00× in the geometric "
         "mean (4 KiB to 1 MiB: 2.83×); 1 tie"),
        ({8: 2.0, 16: 2.0, 32: 2.0}, "nvrar is faster than nccl at all 3 sizes, 2.00× in the geometric mean"),
        ({8: 0.5, 16: 0.5}, "nvrar is slower than nccl at both sizes, 2.00× in the geometric mean"),
        ({8: 0.05}, "nvrar is slower than nccl at 8 B, 20×"),
        ({8: 1.0}, "nvrar is indistinguishable from nccl at 8 B"),
        ({8: 1.0, 16: 1.0}, "nvrar is indistinguishable from nccl at both sizes"),
        ({8: 1.1, 16: 1.1, 32: 0.1, 64: 1.0, 128: 1.0}, "nvrar is faster than nccl at 2 of 5 sizes and slower at 1, "
         "but 1.53× slower in the geometric mean; 2 ties"),
    ],
)  # fmt: skip
def test_the_line_of_a_pair(speeds: dict[int, float], line: str) -> None:
    assert conclusions(run(speeds)) == [line]


@pytest.mark.parametrize(("launches", "words"), [(1, "1 launch"), (2, "2 launches")])
def test_few_launches_give_no_verdict(launches: int, words: str) -> None:
    assert conclusions(run({8: 2.0, 16: 2.0}, launches)) == [
        "nvrar took 0.50× the time of nccl at both sizes in the geometric mean",
        f"{words}: no verdict; use --launches 3 or more",
    ]


def test_sizes_with_fewer_launches_do_not_count() -> None:
    assert conclusions([*run({8: 2.0}), *run({16: 9.0}, launches=2)]) == ["nvrar is faster than nccl at 8 B, 2.00×"]


def test_every_backend_and_panel_has_its_line() -> None:
    records = [*run({8: 2.0}), *run({8: 0.5}, mode="isolated", ranks=2)]
    assert conclusions([*records, *(timed(50.0, backend="mpi", bytes=8, launch=launch) for launch in range(3))]) == [
        "chain · 4 ranks: mpi is faster than nccl at 8 B, 2.00×",
        "chain · 4 ranks: nvrar is faster than nccl at 8 B, 2.00×",
        "isolated · 2 ranks: nvrar is slower than nccl at 8 B, 2.00×",
    ]


def test_nothing_is_concluded_from_one_backend_or_from_two_networks() -> None:
    other = [untimed("skipped", "no GPU", backend="nccl"), untimed("failed", backend="nvrar")]
    assert conclusions([]) == []
    assert conclusions([*(timed(9.0, launch=launch) for launch in range(3)), *other]) == []
    nets = {"nccl": "socket", "nvrar": "ibgda"}
    far = [
        timed(9.0, backend=name, launch=launch, nodes=2, fabric="infiniband", params=f"cache=hot;transport={net}")
        for name, net in nets.items()
        for launch in range(3)
    ]
    assert conclusions(far) == []
