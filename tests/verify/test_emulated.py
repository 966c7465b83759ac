"""``verify --emulate`` as a command: what passes, how failures are reported, and no traceback in any case."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from emulated import KERNELS, a_layout, kernel, needs_compiler
from kernel_files import source, write
from running import Here, Mpi, Ran

from collbench.kernels.files import own_folder
from collbench.kernels.header import read
from collbench.kernels.kernel import Kernel
from collbench.plan.worlds import Topology
from collbench.verify.casts import cast_of
from collbench.verify.emulated import EmulateRequest, trials
from collbench.verify.outcomes import Outcome
from collbench.verify.scenes import draw_scene
from collbench.verify.seeds import BLOCK, PER_CAST

ONESHOT = (own_folder() / "oneshot.cu").read_text(encoding="utf-8")
LAST = "mark(a, Mark::receive);"
# One mistake each: what of oneshot.cu is replaced by what.
MISTAKES = {
    "right": ("", ""),
    "leaves_out": ("else add(total, x);", "else if (p != 1) add(total, x);"),
    "deadlocks": ("r < PLACES; r++) call.send", "r < PLACES - 1; r++) call.send"),
    "crashes": (LAST, f"{LAST} *(volatile int*)nullptr = 1;"),
    "crashes_seldom": (LAST, f"{LAST} if (gridDim.x == 3 && a.count == 2) *(volatile int*)nullptr = 1;"),
    "typo": (LAST, "mark(a, two);"),
    "nameless": ("KERNEL(a) {", "static void another(const Args& a) {"),
    "unlinked": ("KERNEL(a) {", 'extern "C" void of_nobody();\nKERNEL(a) {\n  if (!a.count) of_nobody();'),
    "small": ('nodes = "one"', 'nodes = "one"\nmax_bytes = 1024'),
    "never_ends": (LAST, 'for (;;) asm volatile("");'),
}
FEW = ("--layout", "1x3", "--dtype", "float32", "--sizes", "8,1028", "--seeds", "6")


@pytest.fixture
def newcomer(mpich: Mpi) -> Path:
    """A folder with copies of oneshot.cu, right and wrong ones."""
    for name, (old, new) in MISTAKES.items():
        assert old in ONESHOT
        text = ONESHOT.replace(old, new) if old else ONESHOT
        if name == "small":
            text = text.replace("KERNEL(a) {", "KERNEL(a) {\n  if (a.count > 256) __trap();")
        write(mpich.folder / "mine", f"{name}.cu", text)
    return mpich.folder / "mine"


def emulate(mpich: Mpi, folder: Path, *arguments: str, **variables: str) -> Ran:
    """Run it with the kernels of a folder."""
    variables |= {"COLLBENCH_KERNELS": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    return mpich.run("verify", "--emulate", *arguments, ranks=None, **variables)


def reported(text: str) -> list[str]:
    """What is reported below the table, from the failure to the command that plays it again."""
    lines = text.splitlines()
    last = next(number for number, line in enumerate(lines) if line.startswith("  reproduce: "))
    first = max(number for number, line in enumerate(lines[:last]) if not line.startswith(" "))
    return lines[first : last + 1]


def again(ran: Ran) -> list[str]:
    """The arguments of that command."""
    program, verify, emulated, *arguments = shlex.split(reported(ran.out)[-1].removeprefix("  reproduce: "))
    assert (program, verify, emulated) == ("collbench", "verify", "--emulate")
    return arguments


@needs_compiler
def test_a_right_kernel_of_a_newcomer_passes(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "right", "--layout", "1x2,3x1", "--sizes", "64", "--seeds", "3")
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.out.splitlines() if line.startswith("right")]
    assert [(row[1:3], row[-1]) for row in rows] == 2 * [(["3", "seeds"], "ok")]
    assert all(int(row[3]) >= 9 for row in rows), "three calls a seed, all of them checked"
    assert "all_reduce · all types · all operations · 3 ranks, 3x1 virtual" in ran.out
    assert "2 ok; " in ran.out
    assert "right on 1x2: ok" in ran.err


@needs_compiler
def test_a_rank_that_is_left_out_is_reported_and_replayed(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "leaves-out", *FEW, "--seed", "2")
    assert ran.code == 3, ran.err
    first, scene, *story, command = reported(ran.out)
    assert first.startswith("leaves-out, 1x3, seed 2: rank 0, ")
    assert "the contribution of rank 1 is missing (expected " in first
    assert first.removeprefix("leaves-out, 1x3, ") in ran.out.replace("wrong: seed", "seed", 1)
    assert scene.startswith("  leaves-out float32 ")
    assert "threads: " in scene
    assert "; stores: " in scene
    assert any(line.startswith("  rank 0 waited in exchange of call ") for line in story)
    assert command.endswith("--layout 1x3 --dtype float32 --sizes 8,1028 --seed 2 --seeds 1")
    replayed = emulate(mpich, newcomer, *again(ran))
    assert (replayed.code, reported(replayed.out)) == (3, reported(ran.out))


@needs_compiler
def test_a_deadlock_says_who_waits_for_whom_and_is_replayed(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "deadlocks", *FEW, "--seed", "5")
    assert ran.code == 5, ran.err
    first, _, *story, _ = reported(ran.out)
    assert first == "deadlocks, 1x3, seed 5: deadlock"
    for rank, line in enumerate(story):
        assert line.startswith(f"  rank {rank} waited in exchange of call ")
        assert f" for rank {(rank + 1) % 3} (block " in line
        assert "of its scratch holds ffffffffffffffff ffffffffffffffff)" in line
    assert len(story) == 3
    replayed = emulate(mpich, newcomer, *again(ran))
    assert (replayed.code, reported(replayed.out)) == (5, reported(ran.out))


@needs_compiler
def test_a_crash_is_reported_and_replayed(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "crashes,right", *FEW)
    assert ran.code == 3, ran.err
    assert "Traceback" not in ran.err
    assert "the process that ran it crashed" in reported(ran.out)[0]
    assert any(line.split()[::4] == ["right", "ok"] for line in ran.out.splitlines()), "others are still tried"
    replayed = emulate(mpich, newcomer, *again(ran))
    assert replayed.code == 3
    assert "the process that ran it crashed" in reported(replayed.out)[0]


@needs_compiler
def test_the_seeds_of_a_crash_are_found_whatever_else_ran_beside_it(mpich: Mpi, newcomer: Path) -> None:
    backend = Kernel(read(newcomer / "crashes_seldom.cu"))
    ours = [kernel(name) for name in KERNELS]
    cast = cast_of(backend, ours, a_layout("1x3"), ("float32",), backend.file.ops, (8, 1028), 0)
    scenes = (draw_scene(cast, seed) for seed in range(1, PER_CAST))
    crashes = (
        any((one.kernel.file, one.shape[0], one.problem.count) == (backend.file, 3, 2) for one in scene.parts)
        for scene in scenes
    )
    begin = next(number for number, each in enumerate(crashes) if each) // BLOCK * BLOCK + 1
    assert begin > 1
    ran = emulate(mpich, newcomer, "--backend", "crashes-seldom", *FEW[:-1], str(begin + BLOCK))
    assert ran.code == 3, ran.err
    seeds = f"seeds {begin} to {begin + BLOCK - 1}"
    assert reported(ran.out)[0] == f"crashes-seldom, 1x3, {seeds}: the process that ran it crashed"
    replayed = emulate(mpich, newcomer, *again(ran))
    assert (replayed.code, reported(replayed.out)) == (3, reported(ran.out))
    assert emulate(mpich, newcomer, "--backend", "crashes-seldom", *FEW[:-1], str(begin - 1)).code == 0


@needs_compiler
def test_what_does_not_compile_or_load_has_failed_and_says_why(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "typo,nameless,unlinked", *FEW, "--json")
    assert ran.code == 1, ran.err
    assert "Traceback" not in ran.err
    typo, nameless, unlinked = json.loads(ran.out)
    assert {one["status"] for one in (typo, nameless, unlinked)} == {"failed"}
    assert f"{newcomer}/typo.cu does not compile for CPUs" in typo["reason"]
    assert "error: " in typo["reason"]
    assert "the kernel nameless does not load: " in nameless["reason"]
    assert "of_nobody" in unlinked["reason"]


@needs_compiler
def test_messages_are_none_that_the_header_rules_out_or_that_hold_no_element(mpich: Mpi, newcomer: Path) -> None:
    few = ("--layout", "1x3", "--dtype", "float32", "--seeds", "6")
    ran = emulate(mpich, newcomer, "--backend", "small,right", *few, "--sizes", "2,3,4,1024,1028,9002")
    assert ran.code == 0, ran.out
    for sizes, words in (
        ("2,3", "2 B is too small for one float32"),
        ("4000", "small supports messages up to 1024 bytes"),
    ):
        ran = emulate(mpich, newcomer, "--backend", "small", *few, "--sizes", sizes)
        assert (ran.code, words in ran.out) == (1, True)


@needs_compiler
def test_it_needs_no_mpi(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "right", *FEW, MPI4PY_LIBMPI="/nonexistent/libmpi.so")
    assert ran.code == 0, ran.err


@needs_compiler
def test_a_kernel_that_never_ends_is_given_up(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "never-ends", *FEW, "--timeout", "2")
    assert ran.code == 5, ran.err
    assert re.fullmatch(r"never-ends, 1x3, seeds 1 to [56]: no answer in 2 s", reported(ran.out)[0])
    assert "Traceback" not in ran.err


@needs_compiler
def test_json_is_all_there_is_on_stdout(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "leaves-out,right,mpi", *FEW, "--json")
    assert ran.code == 3, ran.err
    found: list[dict[str, Any]] = json.loads(ran.out)
    assert [(one["backend"], one["status"]) for one in found] == [
        ("leaves-out", "wrong"), ("right", "ok"), ("mpi", "skipped"),
    ]  # fmt: skip
    assert {(one["layout"], one["ranks"], one["dtype"], one["op"], one["story"]) for one in found} == {
        ("1x3", 3, "float32", "all operations", "6 seeds")
    }
    assert found[0]["reason"].startswith("seed 1: rank 0, ")
    assert found[2]["reason"] == "mpi is not a kernel file; the emulator runs kernel files only"
    assert reported(ran.err)[0].startswith("leaves-out, 1x3, seed 1: ")


def test_kernels_of_a_collective_are_those_that_implement_it() -> None:
    request = EmulateRequest(Topology(layouts=((1, 2),)), None, ("all_gather",), None, None, None, range(1), 1.0)
    found = [each.backend for each in trials(request)]
    assert found == ["nvrar-all-gather", "oneshot-all-gather"]
    (other,) = trials(replace(request, backends=("oneshot",)))
    assert isinstance(other, Outcome)
    assert other.reason == "oneshot implements all_reduce, not all_gather"


def test_without_a_compiler_all_is_skipped_and_a_sentence_says_why(mpich: Mpi, newcomer: Path) -> None:
    ran = emulate(mpich, newcomer, "--backend", "right,oneshot", "--layout", "1x2,2x2", CXX="c++-of-nobody")
    assert ran.code == 1, "nothing could run"
    lines = [line for line in ran.out.splitlines() if line.startswith(("right", "oneshot"))]
    assert len(lines) == 4
    reason = "skipped: CXX names 'c++-of-nobody', which is not a command; name a C++17 compiler, or unset it"
    assert all(line.endswith(reason) for line in lines)
    assert ran.err == ""


def test_a_compiler_that_fails_is_asked_once_and_not_by_every_worker(mpich: Mpi, newcomer: Path) -> None:
    program = write(newcomer, "c++", f'#!/bin/sh\necho >>"{newcomer}/calls"\necho "error: no licence" >&2\nexit 1\n')
    program.chmod(0o755)
    ran = emulate(mpich, newcomer, "--backend", "right,oneshot", "--layout", "1x2,2x2", CXX=str(program))
    assert ran.code == 1, ran.err
    assert ran.out.count("error: no licence") == 4
    assert len((newcomer / "calls").read_text()) == 2, "its version, and the runtime"


def test_what_no_emulator_can_run_is_skipped_and_says_why(mpich: Mpi, newcomer: Path) -> None:
    write(newcomer, "unread.cu", source(ops=None))
    ran = emulate(mpich, newcomer, "--backend", "unread,right", "--layout", "1x3,1x256", "--op", "avg", "--json")
    assert ran.code == 1, ran.err
    unread, right, *_ = found = json.loads(ran.out)
    assert {one["status"] for one in found} == {"skipped"}
    assert unread["reason"].startswith(f"{newcomer}/unread.cu: the field 'ops' is missing")
    assert right["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--collective", "broadcast"), "no kernel implements broadcast"),
        (("--layout", "99999x99999"), "9999800001 ranks are more than 131072; give fewer"),
        (("--hidden", "4096"), "--emulate draws stories and rows; omit --story, --hidden, --gpus and --nodes"),
        (("--seeds", "0"), "x>=1"),
        (("--backend", "oneshott"), "did you mean 'oneshot'?"),
        (("--layout", "3x2", "--ranks", "4"), "layout 3x2 needs 6 ranks, not 4"),
        (("--sizes", "4X"), "is not a valid size"),
    ],
)
def test_bad_input_ends_with_exit_2(here: Here, arguments: tuple[str, ...], words: str) -> None:
    ran = here("verify", "--emulate", *arguments, CUDA_VISIBLE_DEVICES="")
    assert ran.code == 2
    assert words in ran.err
    assert "Traceback" not in ran.err
