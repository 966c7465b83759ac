"""``verify``: good backends pass every story, and each story catches the mistake that it is meant for, and only it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from running import BROKEN, Here, Mpi, Ran

from collbench.verify.stories import STORIES

QUICK = ("verify", "--json", "--sizes", "4,2K,8K")


def outcomes(ran: Ran) -> list[dict[str, Any]]:
    """What was printed as JSON."""
    found: list[dict[str, Any]] = json.loads(ran.out)
    return found


def reported(ran: Ran, status: str) -> set[str]:
    """The stories that ended so."""
    return {one["story"] for one in outcomes(ran) if one["status"] == status}


def test_good_backends_pass_on_any_layout(mpi: Mpi) -> None:
    layouts = {"2x2": 4, "3x1": 3, "2x1": 2}
    if mpi.name == "openmpi":  # what a layout changes is the same under any library
        del layouts["2x2"], layouts["2x1"]
    ran = mpi.run(
        *QUICK, "--backend", "mpi,mpi-nvrar", "--layout", ",".join(layouts), "--dtype", "bfloat16",
        "--story", "back-to-back,two-communicators,random-delays,mixed-sizes,misaligned,special-values,same-bits",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = outcomes(ran)
    assert {one["status"] for one in found} == {"ok"}
    assert len(found) == len(layouts) * 2 * 7
    assert {(one["layout"], one["ranks"]) for one in found} == {
        (f"{layout} virtual", ranks) for layout, ranks in layouts.items()
    }
    assert all(one["calls"] >= 30 for one in found)
    assert ran.err.count(" of 7 stories passed") == len(layouts) * 2


def test_rows_pass_every_story_that_fits_them(mpich: Mpi) -> None:
    ran = mpich.run(
        *QUICK,
        "--backend",
        "mpi",
        "--collective",
        "all_reduce_rms_norm",
        "--hidden",
        "40",
        "--dtype",
        "float16",
        ranks=2,
    )
    assert ran.code == 0, ran.err
    assert reported(ran, "ok") == STORIES.keys() - {"one-output", "chained"}
    assert {one["hidden"] for one in outcomes(ran)} == {40}


def test_every_story_in_the_default_sizes_under_a_launcher(mpi: Mpi) -> None:
    ran = mpi.run("verify", "--backend", "mpi-nvrar", ranks=2)
    assert ran.code == 0, ran.err
    lines = [line.split() for line in ran.out.splitlines() if line.startswith("mpi-nvrar")]
    assert [line[1] for line in lines] == list(STORIES)
    assert {line[3] for line in lines} == {"ok"}
    assert "all_reduce · float32 · sum · 2 ranks, 1x2" in ran.out


def test_every_collective_in_place_where_it_has_such_a_form(mpich: Mpi) -> None:
    collectives = {"reduce_scatter", "all_gather", "broadcast", "gather", "send_recv", "all_to_all"}
    stories = {"back-to-back", "mixed-sizes", "misaligned", "special-values"}
    ran = mpich.run(
        *QUICK, "--backend", "mpi", "--ranks", "3", "--collective", ",".join(collectives), "--dtype", "int32,float16",
        "--story", ",".join(stories),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = {(one["collective"], one["story"]) for one in outcomes(ran) if one["status"] == "ok"}
    assert found == {(name, story) for name in collectives for story in stories}
    assert reported(ran, "skipped") == {"special-values"}, "integers have none"


def test_a_send_between_two_ranks_passes_every_story_that_fits_it(mpich: Mpi) -> None:
    ran = mpich.run(*QUICK, "--backend", "mpi", "--layout", "2x1,1x3", "--collective", "send", "--dtype", "float16")
    assert ran.code == 0, ran.err
    of_two, of_three = ([one for one in outcomes(ran) if one["ranks"] == ranks] for ranks in (2, 3))
    assert {one["story"] for one in of_two if one["status"] == "ok"} == STORIES.keys() - {"chained", "same-bits"}
    assert {one["reason"] for one in of_three} == {"send is between two ranks; this world has 3: use --ranks 2"}


def test_every_operation_with_special_values(mpich: Mpi) -> None:
    ops, stories = {"min", "max", "avg"}, {"special-values", "same-bits"}
    ran = mpich.run(*QUICK, "--backend", "mpi-nvrar", "--ranks", "3", "--op", ",".join(ops), "--dtype",
                    "float16,bfloat16,float32,float64", "--story", ",".join(stories))  # fmt: skip
    assert ran.code == 0, ran.err
    found = {(one["op"], one["story"]) for one in outcomes(ran) if one["status"] == "ok"}
    assert found == {(op, story) for op in ops for story in stories}


HELD = {story.name for story in STORIES.values() if story.late != "none"}


# What each backend is caught by, and the words that are said.
CAUGHT: dict[str, tuple[set[str], str]] = {
    "bakes-in-its-input": ({"replay", "chained"}, "stale: the answer of an earlier call"),
    "mixes-up-communicators": ({"two-communicators"}, "2 KiB: "),
    "impatient": (HELD, "element 0"),
    "reads-late": ({"spoilt-inputs"}, "never written"),
    "writes-twice": ({"one-output"}, "2 KiB: "),
    "wrong-after-larger": ({"mixed-sizes"}, "2 KiB: "),
    "wrong-if-misaligned": ({"misaligned"}, "all off by one: routing layer, element 511: never written"),
    "wrong-if-output-misaligned": ({"misaligned"}, "the output off by one: routing layer, element 511: never written"),
    "reads-ahead": ({"chained"}, "2 of a chain of 5, element 0: 512 are wrong"),
    "drops-nan": ({"special-values"}, "expected nan, got"),
    "adds-in-its-own-order": ({"same-bits"}, "bitwise from rank 0"),
    "writes-past-the-end": (set(STORIES), "bytes were written outside the output"),
    "changes-its-input": (set(STORIES) - {"spoilt-inputs"}, "the input was modified"),
}


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is found of all these backends, in one launch."""
    mpich = Mpi("mpich", tmp_path_factory.mktemp("mistaken"))
    ran = mpich.run(
        "verify", "--json", "--sizes", "2K,8K", "--ranks", "3", "--backend", ",".join(CAUGHT), PYTHONPATH=str(BROKEN)
    )
    assert ran.code == 3, ran.err
    return outcomes(ran)


@pytest.mark.parametrize("name", CAUGHT)
def test_each_story_catches_its_mistake_and_no_other_does(mistaken: list[dict[str, Any]], name: str) -> None:
    caught, words = CAUGHT[name]
    found = [one for one in mistaken if one["backend"] == name]
    assert {one["story"]: one["status"] for one in found} == {
        story: "wrong" if story in caught else "ok" for story in STORIES
    }
    wrong = [one for one in found if one["status"] == "wrong"]
    assert all(one["wrong"] for one in wrong)
    assert any(words in one["reason"] for one in wrong)


def test_what_a_backend_refuses_in_place_is_reported(mpich: Mpi) -> None:
    ran = mpich.run(*QUICK, "--ranks", "2", "--backend", "reads-late", "--story", "back-to-back,random-delays",
                    PYTHONPATH=str(BROKEN))  # fmt: skip
    assert ran.code == 0, ran.err
    both, out_of_place = outcomes(ran)
    assert (both["status"], both["reason"]) == ("ok", "partly skipped: never in place")
    assert out_of_place["reason"] == ""


def test_every_way_to_open_a_backend_is_proven(mpich: Mpi) -> None:
    ran = mpich.run(*QUICK, "--ranks", "2", "--backend", "wrong-one-way", PYTHONPATH=str(BROKEN))
    assert ran.code == 3
    usual, other = ([one for one in outcomes(ran) if one["way"] == way] for way in ("", "by another path"))
    assert {one["story"] for one in usual} == set(STORIES)
    assert {one["status"] for one in usual} == {"ok"}
    assert {one["story"] for one in other} == {story.name for story in STORIES.values() if story.ways}
    assert {one["status"] for one in other} == {"wrong"}
    assert "wrong-one-way (by another path) all_reduce" in ran.err


def test_a_failure_and_a_missing_gpu_are_outcomes(mpich: Mpi) -> None:
    ran = mpich.run(
        *QUICK, "--ranks", "2", "--backend", "fails-to-prepare,nccl,mpi", "--story", "back-to-back",
        PYTHONPATH=str(BROKEN), CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    assert ran.code == 1, ran.err
    found = {one["backend"]: one for one in outcomes(ran)}
    assert {name: one["status"] for name, one in found.items()} == {
        "fails-to-prepare": "failed", "nccl": "skipped", "mpi": "ok",
    }  # fmt: skip
    assert "rank 1: RuntimeError: planted: no resources" in found["fails-to-prepare"]["reason"]
    assert found["nccl"]["story"] == "all stories"


@pytest.mark.parametrize("ranks", [None, 2])
def test_a_hang_ends_with_exit_5_and_earlier_outcomes_are_printed(mpich: Mpi, ranks: int | None) -> None:
    where = () if ranks else ("--ranks", "2")
    ran = mpich.run(
        "verify", "--sizes", "4K,8K", "--backend", "mpi,hangs", "--timeout", "5", "--story", "back-to-back", *where,
        ranks=ranks, PYTHONPATH=str(BROKEN),
    )  # fmt: skip
    assert ran.code == 5, ran.err
    assert "mpi      back-to-back     60  ok" in ran.out
    words = (
        "timeout: no progress for 5 s while proving hangs all_reduce float32 sum on 1x2, back-to-back: 8 KiB; rank 0 on"
    )
    assert words in ran.out


def test_an_exception_in_a_call_ends_the_job(mpi: Mpi) -> None:
    ran = mpi.run("verify", "--sizes", "8K", "--backend", "raises", "--ranks", "3", PYTHONPATH=str(BROKEN))
    assert ran.code == 1
    assert "ArithmeticError: planted" in ran.err
    assert "A rank failed (exit code 1)." in ran.err


def test_an_exception_is_the_outcome_of_its_story(mpich: Mpi) -> None:
    arguments = ("verify", "--sizes", "4K,8K", "--backend", "mpi,raises", "--story", "back-to-back")
    ran = mpich.run(*arguments, ranks=3, PYTHONPATH=str(BROKEN))
    assert ran.code == 1
    assert re.search(
        r"raises +back-to-back .*rank 1 on .* raised ArithmeticError: planted while proving raises", ran.out
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--story", "back-to-bak"), "did you mean 'back-to-back'?"),
        (("--rounds", "0"), "x>=1"),
        (("--layout", "3x2", "--ranks", "4"), "layout 3x2 needs 6 ranks, not 4"),
        (("--gpus", "2"), "needs an NVIDIA GPU"),
    ],
)
def test_bad_input_ends_with_exit_2(here: Here, arguments: tuple[str, ...], words: str) -> None:
    ran = here("verify", *arguments, CUDA_VISIBLE_DEVICES="")
    assert ran.code == 2
    assert words in ran.err
