"""NCCL's own forecast, against what NCCL printed and by hand."""

from __future__ import annotations

from typing import Any

import pytest

from collbench.errors import UsageError
from collbench.fit.nccl_model import PROTOCOLS, Machine, Way, correction, forecast, ways

H100 = Machine("h100", channels=16, width=40.0)


def way(machine: Machine, algorithm: str, protocol: str, ranks: int, nodes: int, operation: str = "all_reduce") -> Way:
    found = ways(machine, operation, ranks, nodes)
    return next(each for each in found if (each.algorithm, each.protocol) == (algorithm, protocol))


def us(machine: Machine, algorithm: str, protocol: str, size: int, ranks: int, nodes: int) -> float:
    return way(machine, algorithm, protocol, ranks, nodes).us("all_reduce", size, plateau=False)


@pytest.mark.parametrize(
    ("size", "printed"), [(128, 25.2148), (4096, 25.8749), (8192, 26.5498), (32768, 30.5992), (65536, 37.7982)]
)
def test_five_points_that_nccl_printed(size: int, printed: float) -> None:
    """NVIDIA/nccl issue 1453: Tree LL on 3 nodes of 8 H100, Intel."""
    assert us(H100, "Tree", "LL", size, ranks=24, nodes=3) == pytest.approx(printed, abs=1e-3)
    assert way(H100, "Tree", "LL", 24, 3).bandwidth == pytest.approx(8.67)


@pytest.mark.parametrize(
    ("algorithm", "protocol", "world", "latency"),
    [
        ("Ring", "LL", (4, 1), 6.6 + 6 * 0.6),
        ("Ring", "LL128", (4, 1), 14 + 6 * 1.9),
        ("Ring", "Simple", (4, 1), 8.4 + 6 * 3.4),
        ("Tree", "LL", (4, 1), 6.8 + 6 * 0.6),
        ("Tree", "Simple", (8, 2), 8.4 + 2 * (3 * 4.0 + 14.0)),
        ("Ring", "LL", (8, 2), 6.6 + 12 * 1.0 + 2 * 2.7),  # the host's post exceeds the step over NVLink
        ("Ring", "LL128", (8, 2), 14 + 12 * 1.9 + 2 * 4.0),
        ("Ring", "Simple", (8, 2), 8.4 + 12 * 3.4 + 2 * 14.0),
        ("Ring", "LL", (4, 4), 6.6 + 6 * 5.0),  # one GPU a node: the step of Tree
    ],
)
def test_latencies_by_hand(algorithm: str, protocol: str, world: tuple[int, int], latency: float) -> None:
    assert way(H100, algorithm, protocol, *world).latency == pytest.approx(latency)


@pytest.mark.parametrize(
    ("changes", "algorithm", "protocol", "world", "latency"),
    [
        ({"cpu": "amd"}, "Ring", "LL", (8, 2), 6.6 + 12 * 2.0 + 2 * 2.7),
        ({"cpu": "amd"}, "Ring", "Simple", (8, 2), 8.4 + 12 * 6.0 + 2 * 14.0),
        ({"net_us": 3.0}, "Tree", "LL", (8, 2), 6.8 + 2 * (3 * 0.6 + 8.0)),
        ({"net_us": 3.0}, "Tree", "Simple", (8, 2), 8.4 + 2 * (3 * 4.0 + 20.0)),
        ({"version": (2, 21)}, "Tree", "Simple", (8, 2), 2 * (3 * 28 + 28)),
        ({"version": (2, 22)}, "Ring", "LL", (8, 2), 6.6 + 10 * 1.0 + 4 * 2.7),
        ({"version": (2, 21)}, "Ring", "LL", (4, 4), 6.6 + 8 * 2.7 - 2 * 1.0),
        ({"version": (2, 23)}, "Ring", "LL", (8, 2), 6.6 + 12 * 1.0 + 2 * 2.7),
    ],
)
def test_machines_and_versions_differ(
    changes: dict[str, Any], algorithm: str, protocol: str, world: tuple[int, int], latency: float
) -> None:
    machine = Machine(**{"gpu": "h100", "channels": 16, "width": 40.0, **changes})
    assert way(machine, algorithm, protocol, *world).latency == pytest.approx(latency)


@pytest.mark.parametrize(
    ("machine", "algorithm", "protocol", "world", "bandwidth"),
    [
        (H100, "Ring", "LL", (4, 1), 141.0 * 4 / 6),
        (Machine("h100", 2, 40.0), "Ring", "LL", (4, 1), 40.0 * 4 / 6),
        (Machine("h100", 4, 20.0), "Ring", "LL128", (4, 1), 0.92 * 80 * 4 / 6),
        (H100, "Ring", "LL128", (4, 1), 16 * 36.7 * 4 / 6),
        (H100, "Ring", "Simple", (4, 1), 640 * 4 / 6),
        (H100, "Tree", "Simple", (4, 1), 0.92 * 640 * 0.425),
        (Machine("h100", 16, 50.0), "Tree", "Simple", (4, 1), 16 * 38.7 * 0.425),
        (H100, "Tree", "LL128", (4, 1), 0.92 * 640 * 7 / 9 * 0.425),
        (H100, "Tree", "LL128", (24, 3), 16 * 29.0 * 0.425),
        (Machine("a100", 16, 40.0, cpu="amd"), "Tree", "LL", (8, 2), 22.5 * 0.425),
        (Machine("a100", 16, 40.0, cpu="amd"), "Ring", "LL", (16, 4), 19.0 * 16 / 30),
        (Machine("b200", 32, 40.0), "Ring", "LL", (8, 1), 282.0 * 8 / 14),
        (Machine("h100", 4, 20.0, version=(2, 22)), "Ring", "LL128", (2, 2), 0.7 * 80),
    ],
)
def test_bandwidths_by_hand(
    machine: Machine, algorithm: str, protocol: str, world: tuple[int, int], bandwidth: float
) -> None:
    assert way(machine, algorithm, protocol, *world).bandwidth == pytest.approx(bandwidth)


def test_parts_take_half_of_the_ring() -> None:
    assert way(H100, "Ring", "LL", 8, 2, "all_gather").latency == pytest.approx(6.6 + 6 * 1.0 + 2.7)
    assert way(H100, "Ring", "Simple", 8, 1, "reduce_scatter").bandwidth == pytest.approx(640 * 8 / 7)
    assert {each.algorithm for each in ways(H100, "all_gather", 8, 2)} == {"Ring"}


def test_the_quickest_way_is_taken() -> None:
    time, small = forecast(H100, "all_reduce", 4096, 24, 3)
    assert (small.algorithm, small.protocol) == ("Tree", "LL")
    assert time == pytest.approx(25.8749, abs=1e-3)
    _, large = forecast(H100, "all_reduce", 1 << 30, 24, 3)
    assert (large.algorithm, large.protocol) == ("Ring", "Simple")


def test_a_ring_between_nodes_has_a_plateau() -> None:
    found = way(H100, "Ring", "Simple", 16, 2)
    added = 0.4 * found.latency
    assert found.us("all_reduce", 1 << 20, True) - found.us("all_reduce", 1 << 20, False) == pytest.approx(added)
    time, _ = forecast(H100, "all_reduce", 1 << 30, 16, 2)
    assert time == pytest.approx(found.us("all_reduce", 1 << 30, True))
    assert found.us("all_gather", 1 << 20, True) == found.us("all_gather", 1 << 20, False)


def test_the_tree_s_correction_ends_at_both_ends() -> None:
    assert [correction("LL", size) for size in (32, 64, 1 << 10, 1 << 18, 1 << 28, 1 << 29)] == [1, 1, 0.9, 0.4, 1, 1]
    assert {correction(protocol, 1 << 30) for protocol in PROTOCOLS} == {1.0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpu": "h10"}, "did you mean 'h100'"),
        ({"cpu": "arm"}, "unknown processor"),
        ({"version": (2, 18)}, r"2\.18 were not read"),
        ({"version": (2, 31)}, r"2\.20 to 2\.30 were"),
        ({"channels": 0}, "positive"),
        ({"width": -1.0}, "positive"),
        ({"net_us": -1.0}, "at least 0"),
    ],
)
def test_an_unknown_machine_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Machine(**{"gpu": "h100", "channels": 16, "width": 40.0, **changes})


def test_a_collective_without_a_model_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown collective of NCCL's forecast 'gather'"):
        ways(H100, "gather", 8, 2)
