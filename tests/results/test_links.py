"""A slow host and a slow pair of hosts are distinguished from each other and from noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from samples import timed, untimed

from collbench.results.cases import cases
from collbench.results.links import Links, Slow, judged, links_of, slow_hosts, slow_pairs
from collbench.results.records import Record

NOISE = 0.02


def rows(
    hosts: int,
    launches: int,
    slow: Mapping[str, float] | None = None,
    seed: int = 1,
    noise: float = NOISE,
    **changes: object,
) -> list[Record]:
    """Every pair of hosts with noise between launches; ``slow`` maps a host or a pair to its factor."""
    draw = np.random.default_rng(seed)
    factors = slow or {}
    names = [f"node{index + 1}" for index in range(hosts)]
    shape: dict[str, object] = {"collective": "send_recv", "op": "", "nodes": 2, "fabric": "tcp", **changes}
    return [
        timed(10 * factor_of(one, other, factors) * float(np.exp(draw.normal(0, noise))), launch=launch,
              pair=f"{one}+{other}", **shape)
        for launch in range(launches)
        for one, other in combinations(names, 2)
    ]  # fmt: skip


def factor_of(one: str, other: str, factors: Mapping[str, float]) -> float:
    return float(np.prod([factors.get(name, 1.0) for name in (one, other, f"{one}+{other}")]))


def only(records: list[Record]) -> Links:
    (links,) = links_of(cases(records))
    return links


def found(links: Links) -> tuple[list[str], list[str]]:
    together = judged(links)
    return [each.name for each in slow_hosts(links, together)], [each.name for each in slow_pairs(links, together)]


@pytest.mark.parametrize("hosts", [4, 5, 8])
def test_a_slow_host_is_found_with_its_factor(hosts: int) -> None:
    links = only(rows(hosts, 3, {"node2": 1.5}))
    assert judged(links) == hosts + hosts * (hosts - 1) // 2
    first, *others = slow_hosts(links, judged(links))
    assert others == []
    assert first.name == "node2"
    assert first.low is not None
    assert first.high is not None
    assert first.low < 1.5 < first.high
    assert first.factor == pytest.approx(1.5, rel=0.05)


@pytest.mark.parametrize("hosts", [3, 4, 8])
def test_a_slow_pair_is_no_slow_host(hosts: int) -> None:
    assert found(only(rows(hosts, 5, {"node1+node3": 1.5}))) == ([], ["node1+node3"])


def test_noise_is_no_finding() -> None:
    wrong = sum(any(found(only(rows(6, 3, seed=seed)))) for seed in range(200))
    assert wrong <= 16  # 5 % of runs, and what chance adds


def test_a_pair_that_is_noisy_is_no_finding() -> None:
    """Its own spread counts where it is larger than that of all."""
    draw, wrong = np.random.default_rng(2), 0
    for seed in range(100):
        loud = {(row.launch, row.pair): float(np.exp(draw.normal(0, 0.2))) for row in rows(5, 5)[:]
                if row.pair == "node1+node2"}  # fmt: skip
        records = [
            timed((row.latency_us_median or 0) * loud.get((row.launch, row.pair), 1.0), launch=row.launch,
                  pair=row.pair, nodes=2)
            for row in rows(5, 5, seed=seed)
        ]  # fmt: skip
        wrong += any(found(only(records)))
    assert wrong <= 11


def test_two_launches_give_no_interval() -> None:
    links = only(rows(4, 2, {"node4": 2.0}))
    (slow,) = slow_hosts(links, judged(links))
    assert (slow.name, slow.low, slow.high, slow.launches) == ("node4", None, None, 2)
    assert slow == Slow("node4", slow.factor, None, None, 2)


@pytest.mark.parametrize("hosts", [2])
def test_a_single_pair_cannot_be_judged(hosts: int) -> None:
    links = only(rows(hosts, 5))
    assert judged(links) == 0
    assert found(links) == ([], [])


def test_what_was_not_timed_in_every_launch_does_not_count() -> None:
    records = rows(4, 4)
    broken = [untimed("failed", launch=0, pair="node1+node2", collective="send_recv", op="", nodes=2, fabric="tcp")]
    links = only([*(row for row in records if row.pair != "node1+node2" or row.launch), *broken])
    assert {pair for launch in links.launches() for pair in launch} == set(links.pairs) - {"node1+node2"}
    assert links.median("node1+node2") is None
    late = only([row for row in records if row.pair != "node1+node2" or row.launch])
    assert len(late.launches()) == 3
    elsewhere = [replace(row, pair=row.pair.replace("node", "other"), launch=4) for row in records if row.launch == 0]
    assert len(only([*records, *elsewhere]).launches()) == 4


def test_sizes_and_backends_are_apart_and_hosts_in_their_natural_order() -> None:
    records = [row for name in ("mpi", "nccl") for size in (1 << 20, 4096)
               for row in rows(11, 1, backend=name, bytes=size)]  # fmt: skip
    links = links_of(cases([*records, timed(9.0)]))
    assert [each.cases[0].record.bytes for each in links] == [4096, 4096, 1 << 20, 1 << 20]
    assert links[0].hosts == [f"node{index}" for index in range(1, 12)]
