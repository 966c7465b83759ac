"""What is proven: sizes, and which stories fit what."""

from __future__ import annotations

from typing import Any

import pytest

from collbench.plan.collectives import COLLECTIVES
from collbench.plan.dtypes import DTYPES, Dtype
from collbench.plan.layout import Layout
from collbench.plan.worlds import Topology
from collbench.verify.stories import HIDDEN, STORIES
from collbench.verify.subjects import Subject, VerifyRequest, default_sizes, scenes, subjects


def request(**changes: Any) -> VerifyRequest:
    """Everything, on four ranks."""
    chosen: dict[str, Any] = {
        "topology": Topology(), "backends": ("mpi",), "collectives": ("all_reduce",), "dtypes": ("float32",),
        "ops": ("sum",), "sizes": None, "stories": tuple(STORIES), "rounds": 1, "seed": 1, "timeout": 60.0,
    }  # fmt: skip
    return VerifyRequest(**{**chosen, **changes})


FOUR = Layout((0, 1, 2, 3), (0, 0, 1, 1), virtual=True)


def subject(**changes: Any) -> Subject:
    """The only subject of such a request."""
    (found,) = subjects(request(**changes), [FOUR])
    return found


def test_sizes_that_no_rank_can_share_are_skipped_unless_all_are_such() -> None:
    parts = subject(collectives=("reduce_scatter",), sizes=(4, 8, 16, 17, 4000))
    assert (parts.sizes, parts.refusal) == ((16, 4000), "")
    assert subject(sizes=(3,)).refusal == "3 B is too small for one float32"
    gather = subject(sizes=(3, 4000), backends=("mpi-nvrar",), collectives=("gather",))
    assert gather.refusal == "NVRAR implements all_reduce, not gather"


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_default_sizes_have_tails_and_remainders(dtype: Dtype) -> None:
    counts = [size // dtype.itemsize for size in default_sizes(dtype, "cpu")]
    assert counts[:3] == [1, 2, 15]
    assert all(any(count > 10_000 and count % ranks for count in counts) for ranks in range(2, 129))
    assert max(default_sizes(dtype, "gpu")) == 16 << 20


def test_rows_have_odd_lengths_and_numbers() -> None:
    norm = {"collectives": ("all_reduce_rms_norm",), "dtypes": ("bfloat16",)}
    found = subjects(request(**norm), [FOUR])
    assert [each.hidden for each in found] == list(HIDDEN)
    for each in found:
        rows = [problem.count // each.hidden for problem in each.problems(False)]
        assert {1, 2, 3, 7, 31} <= set(rows)
        assert not each.refusal
    (one,) = subjects(request(**norm, hidden=(64,), sizes=(300,)), [FOUR])
    assert [problem.bytes for problem in one.problems(False)] == [256]
    assert str(one) == "mpi all_reduce_rms_norm rows of 64 bfloat16 sum on 2x2 virtual"
    assert STORIES["one-output"].skips(one.collective, one.dtype, one.op)
    assert STORIES["same-bits"].skips(one.collective, one.dtype, one.op) is None


def test_what_a_story_plays() -> None:
    whom = subject(sizes=(4, 4096))
    plays = {name: list(scenes(story, whom)) for name, story in STORIES.items()}
    assert [[problem.bytes for problem in scene.problems] for scene in plays["mixed-sizes"]] == [[4, 4096]]
    assert [(scene.problems[0].in_place, scene.shift) for scene in plays["misaligned"][::2]] == [
        (False, (1, 1)), (False, (1, 0)), (False, (0, 1)), (True, (1, 1)),
    ]  # fmt: skip
    assert {scene.problems[0].in_place for scene in plays["back-to-back"]} == {False, True}
    assert all(
        problem.bytes in (4, 4096) for played in plays.values() for scene in played for problem in scene.problems
    )


def test_stories_skip_what_they_do_not_fit() -> None:
    reduce, gather = COLLECTIVES["all_reduce"], COLLECTIVES["all_gather"]
    assert STORIES["same-bits"].skips(reduce, DTYPES["int32"], "sum") is None
    assert STORIES["same-bits"].skips(gather, DTYPES["float32"], "")
    assert STORIES["special-values"].skips(reduce, DTYPES["int32"], "sum")
    assert STORIES["chained"].skips(reduce, DTYPES["float32"], "max") is None
    assert STORIES["chained"].skips(reduce, DTYPES["float32"], "avg")
    assert STORIES["chained"].skips(gather, DTYPES["float32"], "")
