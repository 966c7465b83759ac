"""What an engine sends, as problems to time."""

from __future__ import annotations

import pytest

from collbench.errors import UsageError
from collbench.llm.demands import demands_of
from collbench.llm.spec import parse_spec


def asked(text: str) -> set[tuple[str, int, tuple[tuple[int, ...], ...], int]]:
    found = demands_of([parse_spec(text)])
    return {(each.collective, each.size, each.grouping.groups, each.hidden) for each in found}


def test_stages_run_side_by_side_and_the_logits_on_the_last() -> None:
    pairs = ((0, 1), (2, 3))
    assert asked("llama-3.1-8b:tp=2:pp=2:batch=5:prompt=16") == {
        ("all_reduce", 8 * 8192, pairs, 0),  # a decode step of 5, padded to 8
        ("all_reduce", 80 * 8192, pairs, 0),
        ("all_gather", 8 * 8192, ((2, 3),), 0),  # slices that arrive, hidden states and residual alike
        ("all_gather", 80 * 8192, ((2, 3),), 0),
        ("all_gather", 5 * 128256 * 2, ((2, 3),), 0),
        ("send", 4 * 8192, ((0, 2), (1, 3)), 0),
        ("send", 40 * 8192, ((0, 2), (1, 3)), 0),
    }


def test_fused_norms_have_rows_of_the_hidden_size() -> None:
    assert ("all_reduce_rms_norm", 8 * 8192, ((0, 1),), 4096) in asked("llama-3.1-8b:tp=2:batch=8:fuse-norms")


def test_several_specs_ask_for_what_they_share_once() -> None:
    twice = [parse_spec("llama-3.1-8b:tp=2:batch=8"), parse_spec("llama-3.1-8b:tp=2:batch=7")]
    sums = [each for each in demands_of(twice) if each.size == 8 * 8192]
    assert len(sums) == 1


def test_a_spec_that_sends_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"llama-3\.1-8b sends nothing: give it several ranks"):
        demands_of([parse_spec("llama-3.1-8b")])
