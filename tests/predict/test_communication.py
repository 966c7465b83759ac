"""Collectives of a pass, priced."""

from __future__ import annotations

import pytest
from deployments import DECODE, decode, deployed
from latencies import Flat

from collbench.errors import UsageError
from collbench.fit.estimate import ASSUMED, MEASURED, MODELLED, Estimate
from collbench.llm.steps import Deployment
from collbench.predict.communication import Pricing
from collbench.predict.sources import Backed, Faster
from collbench.predict.sums import NOTHING, total


def price(deployment: Deployment, source: Flat | Backed) -> Estimate:
    return Pricing(source).sum(decode(deployment, DECODE), deployment.parallel)


@pytest.mark.parametrize(
    ("tp", "pp", "calls"),
    [(8, 1, 65 + 1), (4, 2, 65 + 1 + 1 * (2 + 2)), (2, 4, 65 + 1 + 3 * (2 + 2)), (1, 8, 7 * 2), (1, 1, 0)],
)  # fmt: skip
def test_calls_of_all_stages_follow_one_another(tp: int, pp: int, calls: int) -> None:
    """Llama 3.1 8B: 65 sums and one all-gather of logits; two sends and two all-gathers of slices at a boundary."""
    found = price(deployed("llama-3.1-8b", "vllm", tp, pp), Flat())
    assert (found.us, found.low, found.high) == pytest.approx((calls * 5, calls * 4.5, calls * 5.5))


def test_one_rank_sends_nothing() -> None:
    assert price(deployed("llama-3.1-8b", "vllm"), Flat()) == NOTHING


def test_only_groups_over_several_nodes_pay_for_the_network() -> None:
    """TP 4 in each of two nodes: of 70 calls, the two sends alone cross."""
    found = price(deployed("llama-3.1-8b", "vllm", 4, 2, node=4), Flat())
    assert found.us == 68 * 5 + 2 * 40


def test_of_groups_side_by_side_the_slowest_counts() -> None:
    """Replicas of four ranks on nodes of six: the second one is on two nodes, two ranks on each."""
    split = deployed("llama-3.1-8b", "vllm", 4, dp=2, node=6)
    assert {each.us for _, each in Pricing(Flat()).steps(decode(split), split.parallel)} == {40.0}


def test_ranks_that_fill_nodes_unevenly_are_priced_as_more() -> None:
    split = deployed("llama-3.1-8b", "vllm", 8, node=6)
    (_, found), *_ = Pricing(Flat()).steps(decode(split), split.parallel)
    assert (found.us, found.basis, found.source) == (40.0, ASSUMED, "flat, as if 8 ranks were 12")


def test_a_fused_collective_without_a_latency_is_an_assumed_plain_one() -> None:
    fused = deployed("llama-3.1-8b", "vllm", 4, fuses=True)
    found = price(fused, Flat(lacks=frozenset({"all_reduce_rms_norm"})))
    assert (found.us, found.basis) == (66 * 5, ASSUMED)
    assert "all_reduce in place of all_reduce_rms_norm" in found.source
    assert price(fused, Flat()).basis == MODELLED


def test_what_a_source_lacks_comes_from_the_rest_or_is_refused() -> None:
    lacking = Flat(2.0, name="mine", basis=MEASURED, lacks=frozenset({"all_gather"}))
    with pytest.raises(UsageError, match="mine has no all_gather"):
        price(deployed("llama-3.1-8b", "vllm", 8), lacking)
    found = price(deployed("llama-3.1-8b", "vllm", 8), Backed(lacking, Flat()))
    assert (found.us, found.basis, found.source) == (65 * 2 + 5, MODELLED, "mine; flat")
    both = Backed(lacking, Flat(lacks=frozenset({"all_gather"})))
    with pytest.raises(UsageError, match="mine has no all_gather"):
        price(deployed("llama-3.1-8b", "vllm", 8), both)


def test_a_sum_is_as_weak_as_its_weakest_part() -> None:
    one, other = Estimate(1, 0.5, 2, MEASURED, "a"), Estimate(10, 9, 12, ASSUMED, "b")
    assert total([(2, one), (1, other)]) == Estimate(12, 10, 16, ASSUMED, "a; b")
    assert total([(2, one), (0, other)]).basis == MEASURED


def test_a_faster_source_has_faster_all_reduces_between_nodes_alone() -> None:
    found = Faster(Flat(), 2.0)
    assert found.name == "flat ÷ 2"
    assert [found.of("all_reduce", size, 8, 2).us for size in (64 << 10, 128 << 10, 2 << 20, 4 << 20)] == [
        40,
        20,
        20,
        40,
    ]
    assert (found.of("all_reduce", 1 << 20, 8, 1).us, found.of("all_gather", 1 << 20, 8, 2).us) == (5, 40)
    assert found.of("all_reduce", 1 << 20, 8, 2).basis == ASSUMED
    assert found.of("all_reduce_rms_norm", 1 << 20, 8, 2).us == 20
    with pytest.raises(UsageError, match="--faster is 0; it must be a positive number"):
        Faster(Flat(), 0.0)
