"""Splits over nodes, their outcomes, speed-ups and the best."""

from __future__ import annotations

from dataclasses import replace

import pytest
from latencies import Flat

from collbench.errors import UsageError
from collbench.fit.estimate import ASSUMED, MEASURED, Estimate
from collbench.llm.spec import Spec
from collbench.predict.amdahl import needed_share, speedup_of, step_speedup
from collbench.predict.compute import Given, Roofline
from collbench.predict.gpus import GPUS
from collbench.predict.outcome import Outcome, Time
from collbench.predict.splits import Accepted, Refused, splits
from collbench.predict.study import Question, Study, study

SPEC = Spec("llama-3.1-8b", gpus_per_node=4, batch=1, prompt=128, output=128)
ROOFLINE = Roofline(GPUS["h100"])
SLOW, FAST = Flat(name="slow"), Flat(2.5, 10.0, name="fast")


def ask(**changes: object) -> Study:
    plain = Question(SPEC, (1, 2), (1,), (SLOW, FAST), ROOFLINE)
    return study(replace(plain, **changes))  # type: ignore[arg-type]


def one(found: Study, source: str, nodes: int, tp: int) -> Outcome:
    return found.by_place[(found.outcomes[0].world[0], nodes, tp), source]


def test_every_split_of_all_gpus_is_there() -> None:
    found = list(splits(SPEC, 2, None))
    assert [(each.spec.tp, each.spec.pp) for each in found] == [(8, 1), (4, 2), (2, 4), (1, 8)]
    assert all(isinstance(each, Accepted) for each in found)


def test_what_the_engine_refuses_has_its_reason() -> None:
    """64 ranks: Llama 3.1 8B has 32 heads."""
    first, *others = splits(SPEC, 16, None)
    assert isinstance(first, Refused)
    assert first.why == "vLLM V1 refuses --tp 64: 32 attention heads do not divide by it."
    assert [(each.spec.tp, type(each)) for each in others[-2:]] == [(2, Accepted), (1, Refused)]  # 64 stages, 32 layers


def test_a_split_of_the_spec_is_kept() -> None:
    assert [each.spec.pp for each in splits(replace(SPEC, tp=4), 2, None)] == [2]
    assert [each.spec.tp for each in splits(replace(SPEC, dp=2), 2, None)] == [4, 2, 1]
    for spec in (replace(SPEC, tp=3), replace(SPEC, tp=4, pp=4), replace(SPEC, dp=3)):
        (refused,) = splits(spec, 2, None)
        assert isinstance(refused, Refused)
        assert refused.why == f"{spec} does not use all 8 GPUs."


def test_a_model_that_does_not_fit_is_refused() -> None:
    """405B in 2 bytes, 812 GB: 203 a GPU on four of 80 GB, 101 on eight, 51 on sixteen."""
    big = replace(SPEC, model="llama-3.1-405b")
    refused = next(splits(big, 1, GPUS["a100"]))
    assert isinstance(refused, Refused)
    assert refused.why == "weights and cache take 203 GB of a GPU's 80."
    assert isinstance(next(splits(big, 2, GPUS["a100"])), Refused)
    assert isinstance(next(splits(big, 4, GPUS["a100"])), Accepted)


def test_times_add_up() -> None:
    found = one(ask(compute=ROOFLINE), "slow", 2, 4)
    assert found.decode
    assert found.tpot
    assert found.decode.communication.us == pytest.approx(68 * 5 + 2 * 40)
    assert found.prefill
    assert found.prefill.communication.us == pytest.approx(68 * 5 + 2 * 40)
    assert found.steps == 127
    assert found.latency
    assert found.ttft
    assert found.latency.whole.us == pytest.approx(found.ttft.us + 127 * found.tpot.us)
    assert found.decode.share.value == pytest.approx(420 / found.tpot.us)
    assert found.decode.share.low < found.decode.share.value < found.decode.share.high
    assert found.basis == ASSUMED


def test_one_gpu_communicates_nothing() -> None:
    found = ask(spec=replace(SPEC, gpus_per_node=1), nodes=(1,)).outcomes[0]
    assert found.decode
    assert found.decode.share.value == 0


def test_one_token_has_no_decode_step() -> None:
    found = ask(spec=replace(SPEC, output=1))
    assert found.outcomes[0].tpot is None
    assert found.outcomes[0].latency == found.outcomes[0].prefill
    assert found.best("slow", 1, 1)


def test_a_step_has_the_passes_of_a_draft_model_before_it() -> None:
    """Three guesses of Llama 3.2 3B, each of 57 sums and an all-gather, then a pass that verifies them."""
    drafted = replace(SPEC, tp=4, speculate=3, draft="llama-3.2-3b")
    found = ask(spec=drafted, nodes=(1,), sources=(SLOW,)).outcomes[0]
    assert found.decode
    assert found.steps == 127
    assert found.decode.communication.us == pytest.approx((3 * 58 + 66) * 5)
    alone = ask(spec=replace(drafted, draft=None), nodes=(1,), sources=(SLOW,)).outcomes[0]
    small = ask(spec=replace(SPEC, model="llama-3.2-3b", tp=4), nodes=(1,), sources=(SLOW,)).outcomes[0]
    assert alone.decode
    assert small.decode
    assert found.decode.compute.us == pytest.approx(alone.decode.compute.us + 3 * small.decode.compute.us)


def test_tensor_parallelism_slows_with_nodes_and_stages_do_not_profit() -> None:
    wide = ask(nodes=(1, 2, 4, 8))
    times = [one(wide, "slow", nodes, 4 * nodes).decode for nodes in (1, 2, 4, 8)]
    assert [time.communication.us for time in times if time] == sorted(66 * us for us in (5, 40, 80, 160))


def test_a_speedup_is_amdahls() -> None:
    found = ask()
    other = one(found, "fast", 2, 8)
    share, speedup = found.share(other), found.speedup(other)
    assert share
    assert speedup
    assert speedup.value == pytest.approx(step_speedup(share.value, 2.0))
    assert speedup.low < speedup.value < speedup.high
    assert found.best("fast", 1, 2)[0].spec.tp == 4


def test_what_1_72_needs() -> None:
    """llm.md: f of 0.58 with s = 3.6, 0.63 with 3, 0.88 with 1.9; s = 1.72 needs all, and less is never enough."""
    assert [round(needed_share(1.72, s) or 0, 2) for s in (3.6, 3.0, 1.9)] == [0.58, 0.63, 0.88]
    assert needed_share(1.72, 1.72) == 1
    assert needed_share(1.72, 1.7) is None
    assert needed_share(1.72, 1.0) is None
    assert step_speedup(needed_share(1.72, 3.0) or 0, 3.0) == pytest.approx(1.72)


def test_a_range_of_a_speedup_holds_all_ends() -> None:
    sent, less, done = (Estimate(us, us / 2, us * 2, MEASURED, "") for us in (20.0, 10.0, 10.0))
    found = speedup_of(Time(sent, done), Time(less, done))
    assert (found.value, found.low, found.high) == (1.5, (10 + 5) / (20 + 5), (40 + 5) / (5 + 5))


def test_a_source_without_a_collective_is_named_with_its_reason() -> None:
    found = ask(sources=(SLOW, Flat(name="sums", lacks=frozenset({"send"}))))
    lacking = [each for each in found.refused if each.source == "sums"]
    assert {each.why for each in lacking} == {"sums has no send."}
    assert {each.spec.pp for each in lacking} == {2, 4, 8}


def test_prefill_may_have_a_source_of_its_own() -> None:
    found = ask(prefill=Flat(50.0, name="far"), nodes=(1,))
    early = [each.prefill for each in found.outcomes if each.spec.tp == 4]
    assert [time.communication.us for time in early if time] == [66 * 50.0, 66 * 50.0]


def test_without_a_time_of_prefills_there_is_a_tpot_alone() -> None:
    found = ask(compute=Given({4: 3.0})).outcomes[0]
    assert (found.ttft, found.latency) == (None, None)
    assert found.tpot
    assert found.tpot.us == 66 * 5 + 32 * 3
    assert found.lacks.startswith("--compute gives the time of a layer in a decode step alone")


def test_nothing_to_predict_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing can be predicted: --compute gives"):
        ask(compute=Given({4: 3.0}), spec=replace(SPEC, output=1))
    with pytest.raises(UsageError, match="two sources are called slow"):
        ask(sources=(SLOW, SLOW))
