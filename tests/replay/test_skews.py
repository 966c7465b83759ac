"""Delays of a replay: one for each part that computes, the same on every rank that asks, summed over stages."""

from __future__ import annotations

import pytest

from collbench.llm.spec import parse_spec
from collbench.plan.skew import parse_skew
from collbench.replay.plan import Plan, plan_of
from collbench.replay.skews import Delays


def a_plan(text: str) -> Plan:
    listing = parse_spec(text).listing()
    return plan_of(listing.deployment, listing.shown()[-1])


def test_one_late_rank_is_late_in_every_gap_of_its_stage() -> None:
    delays = Delays(a_plan("llama-3.1-8b:tp=2:pp=2"), parse_skew("20us:3"), seed=1, launch=0)
    assert delays.of_rank(3) == [20e-6] * (2 * 16 + 1)  # attention and MLP of 16 layers, and the head
    assert delays.of_rank(2) == [0.0] * 33
    assert delays.of_rank(0) == [0.0] * 32
    assert delays.earliest == 0.0
    assert delays.latest == pytest.approx(33 * 20e-6)


def test_random_delays_differ_by_gap_rank_and_launch_and_sum_up_by_stage() -> None:
    plan = a_plan("llama-3.1-8b:tp=2:pp=2")
    delays = Delays(plan, parse_skew("20us"), seed=1, launch=0)
    stages = [(delays.of_rank(0), delays.of_rank(1)), (delays.of_rank(2), delays.of_rank(3))]
    drawn = [late for ranks in stages for one in ranks for late in one]
    assert len(set(drawn)) == len(drawn) == 2 * (32 + 33)
    assert all(0 <= late < 20e-6 for late in drawn)
    assert delays.earliest == pytest.approx(sum(min(pair) for ranks in stages for pair in zip(*ranks, strict=True)))
    assert delays.latest == pytest.approx(sum(max(pair) for ranks in stages for pair in zip(*ranks, strict=True)))
    assert Delays(plan, parse_skew("20us"), seed=1, launch=1).of_rank(0) != delays.of_rank(0)
