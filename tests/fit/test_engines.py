"""The public table of engines' kernels."""

from __future__ import annotations

import pytest
from readmes import ROOT

from collbench.fit.engines import ERROR, SIZES, TABLE, Engine
from collbench.fit.measured import Measured
from collbench.results.records import load

CSV = ROOT / "results/h200x4-nvrar.csv"


def test_the_table_and_the_line_between_its_sizes() -> None:
    vllm = Engine("vllm")
    assert vllm.of("all_reduce", 1 << 20, 4, 1).us == pytest.approx(12.1)
    between = vllm.of("all_reduce", 1 << 19, 4, 1).us
    assert between == pytest.approx((7.0 * 12.1) ** 0.5)
    assert vllm.of("all_reduce", 1 << 19, 4, 1).high == pytest.approx(1.1 * between)


def test_other_worlds_and_sizes_are_modelled_and_assumed() -> None:
    for size, ranks in ((4096, 4), (1 << 24, 4), (1 << 20, 8)):
        assert Engine("trtllm").of("all_reduce", size, ranks, 1).basis == "assumed"
    over_ranks = [Engine("sglang").of("all_reduce", 1 << 20, ranks, 1).us for ranks in (2, 8)]
    assert over_ranks == sorted(over_ranks)


def test_their_nccl_is_like_ours() -> None:
    ours = Measured(tuple(load(CSV)), "nccl", "ours")
    for size, theirs in zip(SIZES, TABLE["nccl"], strict=True):
        assert ours.of("all_reduce", size, 4, 1).us == pytest.approx(theirs, rel=ERROR)
