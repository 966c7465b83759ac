"""What a replay runs is what is listed: the same collectives, counts and bytes, on every rank."""

from __future__ import annotations

from collections import Counter

import pytest

from collbench.errors import UsageError
from collbench.llm.listing import Listing
from collbench.llm.spec import parse_spec
from collbench.plan.layout import Layout
from collbench.replay.plan import Kind, plan_of
from collbench.replay.voices import slots_of

SPECS = (
    "llama-3.1-8b:tp=2:batch=8", "llama-3.1-70b:tp=2:pp=4:fuse-norms:batch=3", "qwen3-8b:tp=2:pp=3:engine=sglang",
    "llama-3.1-8b:tp=2:pp=2:sequence-parallel:batch=4", "deepseek-v3:tp=2:dp=4:ep=8:all2all=deepep", "qwen3-8b:pp=3",
)  # fmt: skip


def counted(listing: Listing) -> Counter[tuple[str, int, str]]:
    """The collectives of every pass that is shown, summed over stages."""
    found = Counter[tuple[str, int, str]]()
    for one in listing.shown():
        for step in listing.steps[one]:
            found[step.operation, step.message_bytes, step.dtype.name] += step.count
    return found


@pytest.mark.parametrize("text", SPECS)
def test_counts_and_bytes_are_those_listed(text: str) -> None:
    listing = parse_spec(text).listing()
    found = Counter[tuple[str, int, str]]()
    for one in listing.shown():
        plan = plan_of(listing.deployment, one)
        for kind, count in plan.counts.items():
            size = len(kind.groups[0])
            problem = kind.problem(Layout(tuple(range(size)), (0,) * size))
            found[problem.collective.name, problem.bytes, problem.dtype.name] += count
        sums = Counter(event for stage in plan.stages for event in stage if isinstance(event, Kind))
        for kind, total in sums.items():  # a send is in the sequences of both its stages
            assert total == plan.counts[kind] * (2 if kind.between_stages else 1)
    assert found == counted(listing)


def test_the_same_collective_of_several_stages_is_one_but_each_boundary_has_its_send() -> None:
    listing = parse_spec("llama-3.1-8b:tp=2:pp=3:batch=8").listing()
    plan = plan_of(listing.deployment, listing.shown()[-1])
    (sums,) = (kind for kind in plan.kinds if kind.operation == "all_reduce")
    assert sums.groups == ((0, 1), (2, 3), (4, 5))
    assert [plan.count(sums, rank) for rank in range(6)] == [23, 23, 22, 22, 20, 20]
    assert (plan.counts[sums], plan.most(sums)) == (65, 23)
    sends = [kind for kind in plan.kinds if kind.operation == "send"]
    assert [kind.groups for kind in sends] == [((0, 2), (1, 3)), ((2, 4), (3, 5))]
    assert [plan.count(sends[0], rank) for rank in range(6)] == [2, 2, 2, 2, 0, 0]


def test_a_pass_that_sends_nothing_is_refused() -> None:
    listing = parse_spec("llama-3.1-8b").listing()
    with pytest.raises(UsageError, match="this pass sends nothing"):
        plan_of(listing.deployment, listing.shown()[-1])


def test_a_message_that_cannot_be_divided_is_refused() -> None:
    listing = parse_spec("llama-3.1-8b:tp=2").listing()
    kind = plan_of(listing.deployment, listing.shown()[-1]).kinds[-1]
    assert kind.operation == "all_gather"
    with pytest.raises(UsageError, match="cannot be divided for all_gather"):
        kind.problem(Layout(tuple(range(5)), (0,) * 5))


@pytest.mark.parametrize(
    ("calls", "share", "slots"), [(161, 1.2, 161), (161, 0.5, 79), (161, 0.001, 3), (2, 0.1, 2), (161, 0.52, 83)]
)
def test_slots_take_turns_only_where_memory_is_short(calls: int, share: float, slots: int) -> None:
    assert slots_of(calls, share) == slots
