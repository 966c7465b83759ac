"""The order of a pass: the collectives that are listed, and no stage that waits for ever."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import pytest

from collbench.llm.order import ATTENTION, BLOCK, HEAD, Work, collectives, sequence
from collbench.llm.spec import Spec, parse_spec
from collbench.llm.steps import Step

SPECS = (
    "llama-3.1-8b:tp=2:batch=8", "llama-3.1-70b:tp=4:pp=4:fuse-norms", "llama-3.1-8b:tp=2:pp=3:engine=vllm-v0",
    "llama-3.1-8b:tp=2:pp=2:sequence-parallel:batch=4", "qwen3-8b:tp=2:pp=4:engine=sglang:batch=2:fuse-norms",
    "qwen3-8b:pp=2:engine=sglang", "llama-3.1-8b:tp=4:pp=2:engine=trtllm", "llama-3.1-8b:tp=8:engine=yalis",
    "mixtral-8x7b:tp=2:dp=2:ep=4", "deepseek-v3:tp=8:pp=2:batch=3", "deepseek-v3:tp=2:dp=4:ep=8:all2all=deepep",
    "llama-3.1-8b:tp=2:chunk=64:prompt=100", "llama-3.1-8b:tp=2:speculate=3",
)  # fmt: skip


@pytest.mark.parametrize("text", SPECS)
def test_the_sequences_of_all_stages_have_the_collectives_that_are_listed(text: str) -> None:
    listing = parse_spec(text).listing()
    for one, steps in listing.steps.items():
        counted = Counter[Step]()
        for stage in range(listing.deployment.parallel.pp):
            mine = collectives(sequence(listing.deployment, one, stage))
            counted.update(step for step in mine if step.stage == stage)
        assert counted == Counter({replace(step, count=1): step.count for step in steps})


@pytest.mark.parametrize("text", SPECS)
def test_ranks_that_begin_a_collective_when_all_of_its_group_have_come_to_it_reach_the_end(text: str) -> None:
    listing = parse_spec(text).listing()
    parallel = listing.deployment.parallel
    for one in listing.shown():
        stages = [list(collectives(sequence(listing.deployment, one, stage))) for stage in range(parallel.pp)]
        left = [deque(stages[rank // parallel.tp % parallel.pp]) for rank in range(parallel.ranks)]
        moved = True
        while moved:
            moved = False
            for step in {id(queue[0]): queue[0] for queue in left if queue}.values():
                for group in step.groups:
                    if all(left[rank] and left[rank][0] == step for rank in group):
                        moved = bool([left[rank].popleft() for rank in group])
        assert not any(left)


def events(spec: Spec, stage: int = 0) -> list[str]:
    """The sequence of a decode step in words."""
    listing = spec.listing()
    found = sequence(listing.deployment, listing.shown()[-1], stage)
    return [f"{each.part} {each.layer}" if isinstance(each, Work) else each.what for each in found]


def test_a_layer_computes_before_it_communicates() -> None:
    found = events(parse_spec("llama-3.1-8b:tp=2"))
    assert found[:5] == ["embedding", f"{ATTENTION} 0", "attention output", f"{BLOCK} 0", "MLP output"]
    assert found[-4:] == [f"{BLOCK} 31", "MLP output", f"{HEAD} 31", "logits"]


def test_experts_compute_between_dispatch_and_combine() -> None:
    found = events(parse_spec("mixtral-8x7b:dp=2:ep=2:all2all=deepep"))
    assert found[:4] == [f"{ATTENTION} 0", "dispatch", f"{BLOCK} 0", "combine"]


def test_a_later_stage_begins_with_what_it_receives_and_the_last_one_returns_token_ids() -> None:
    found = events(parse_spec("qwen3-8b:tp=2:pp=2:engine=sglang:batch=2"), stage=1)
    assert found[:5] == [
        "hidden states to the next stage", "hidden states of the stage before", "residual to the next stage",
        "residual of the stage before", f"{ATTENTION} 18",
    ]  # fmt: skip
    ring = ["token ids to the next stage", "token ids to the next stage", "token ids of the stage before"]
    assert found[-4:] == ["logits", *ring]
    first = events(parse_spec("qwen3-8b:tp=2:pp=2:engine=sglang:batch=2"))
    assert first[-5:-3] == ["hidden states to the next stage", "residual to the next stage"]
    assert first[-3:] == [ring[0], ring[2], ring[1]]
