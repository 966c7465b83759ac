"""Bytes on the wires: by hand, and counted over simulated messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import pytest
from deployments import decode, deployed

from collbench.llm.parallel import Parallel
from collbench.llm.volumes import Volume, sent, volumes

Message = tuple[int, int, Fraction]  # sender, receiver, bytes
GROUPS = [
    ((0, 1), 8),
    (tuple(range(8)), 8),
    (tuple(range(8)), 4),
    (tuple(range(6)), 4),
    ((1, 3, 5, 7), 4),
    ((0, 4, 8), 4),
]


def ring(group: tuple[int, ...], part: Fraction, rounds: int) -> Iterator[Message]:
    """Every step of a ring: each rank passes one part to its neighbour."""
    for _ in range(rounds * (len(group) - 1)):
        for place, rank in enumerate(group):
            yield rank, group[(place + 1) % len(group)], part


def messages(operation: str, group: tuple[int, ...], size: int) -> Iterator[Message]:
    """Messages of one call with inputs of ``size`` bytes; of broadcasts, those of a call from every root."""
    whole, ranks = Fraction(size), len(group)
    if operation in {"all_reduce", "all_reduce_rms_norm", "reduce_scatter"}:
        yield from ring(group, whole / ranks, 1 if operation == "reduce_scatter" else 2)
    elif operation == "all_gather":
        yield from ring(group, whole, 1)
    elif operation == "gather":
        yield from ((rank, group[0], whole) for rank in group[1:])
    elif operation == "all_to_all":
        yield from ((one, other, whole / ranks) for one in group for other in group if one != other)
    else:
        for root in range(ranks):
            for hop in range(ranks - 1):
                yield group[(root + hop) % ranks], group[(root + hop + 1) % ranks], whole


@pytest.mark.parametrize(("group", "node"), GROUPS)
@pytest.mark.parametrize(
    "operation",
    ["all_reduce", "all_reduce_rms_norm", "reduce_scatter", "all_gather", "gather", "all_to_all", "broadcast"],
)
def test_volumes_are_those_of_simulated_messages(operation: str, group: tuple[int, ...], node: int) -> None:
    near: dict[int, Fraction] = defaultdict(Fraction)
    far: dict[int, Fraction] = defaultdict(Fraction)
    calls = len(group) if operation == "broadcast" else 1
    for rank, to, size in messages(operation, group, 1000):
        (near if rank // node == to // node else far)[rank] += size / calls
    for rank, inside, outside in sent(operation, group, 1000, Parallel(node=node)):
        assert (near[rank], far[rank]) == (inside, outside)


def test_a_ring_by_hand() -> None:
    # 2 (P - 1) / P * n = 1.75 n from each of 8 ranks; on two nodes, two of the eight send to the other node.
    found = list(sent("all_reduce", tuple(range(8)), 800, Parallel(node=4)))
    assert [rank for rank, _, far in found if far] == [3, 7]
    assert {near + far for _, near, far in found} == {1400}


def test_a_send_goes_one_way() -> None:
    assert list(sent("send", (1, 9), 64, Parallel(node=8))) == [(1, Fraction(0), Fraction(64))]
    assert list(sent("send", (1, 5), 64, Parallel(node=8))) == [(1, Fraction(64), Fraction(0))]


@pytest.mark.parametrize("tp", [2, 4, 8])
@pytest.mark.parametrize("node", [2, 8])
def test_sequence_parallelism_sends_what_rings_send(tp: int, node: int) -> None:
    found = [decode(deployed("llama-3.1-8b", "vllm", tp, scatters=way, node=node)) for way in (False, True)]
    one, other = (volumes(steps, Parallel(tp, node=node)) for steps in found)
    assert one == other


@pytest.mark.parametrize(("engine", "receivers"), [("vllm-v0", 1), ("vllm", 8), ("sglang", 8)])
def test_logits_arrive_at_the_root_or_everywhere(engine: str, receivers: int) -> None:
    logits = decode(deployed("llama-3.1-8b", engine, 8))[-1]
    total = volumes([logits], Parallel(8))[0].in_node
    assert total == receivers * 7 * 5 * 128256 // 8 * 2


def test_stages_and_levels_add_up() -> None:
    deployment = deployed("llama-3.1-8b", "vllm", 4, 2, node=4)
    found = volumes(decode(deployment), deployment.parallel)
    # 33 all-reduces of 64 KiB, embedding included, and two slices of 16 KiB from each of four ranks.
    assert found[0] == Volume(
        busiest=Fraction(33 * 65536 * 3 // 2 + 2 * 16384),
        in_node=Fraction(4 * 33 * 65536 * 3 // 2),
        between=Fraction(4 * 2 * 16384),
    )
    gathered = 3 * (2 * 16384 + 5 * 32064 * 2)
    assert found[1].busiest == 32 * 65536 * 3 // 2 + gathered
    assert found[1].between == 0


def test_nothing_has_no_volume() -> None:
    assert volumes([], Parallel()) == {}
