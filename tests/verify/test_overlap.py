"""Launches of one stream overlap as programmatic dependent launch allows; a store belongs to a thread of one launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emulated import Draws, Patch, cast_for, needs_compiler, patched
from programs import Call, compiled, play

from collbench.kernels.host_compiler import LoadedKernel
from collbench.verify import schedules
from collbench.verify.emulator import Ending
from collbench.verify.playing import run_scene
from collbench.verify.scenes import draw_scene
from collbench.verify.schedules import ALWAYS

pytestmark = needs_compiler
SEEDS = 60

# Each launch copies the word that the launch before has written, plus one; the last block to come writes it.
COUNTS = """KERNEL(a) {
  u64* word = reinterpret_cast<u64*>(a.scratch[a.place] + FLAGGED_AT);
  %s
  const u64 before = load_word(word);
  __syncthreads();
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) reinterpret_cast<u32*>(a.out)[a.count] = u32(before);
  __threadfence();
  if (atomicAdd(reinterpret_cast<unsigned long long*>(word + 8 + 8 * a.count), 1) + 1 < gridDim.x) return;
  store_word(word, before + 1);
}
"""
SHAPES = ((3, 32), (1, 64), (2, 7), (4, 32), (1, 1), (2, 64))
NO_TRIGGER, NEVER = "wait_for_previous_kernel();", "let_next_kernel_launch();"
USUAL = NO_TRIGGER + NEVER
EARLY = NEVER + NO_TRIGGER


def counts(begins: Sequence[LoadedKernel], seed: int, resident: int = 0) -> tuple[Ending, list[int]]:
    """How a run of launches of COUNTS ended, of these kernels in turns, and what each launch read."""
    order = schedules.draw(seed, 1, *SHAPES[0])
    calls = [Call(begins[i % len(begins)], shape, np.zeros(1 + i, np.uint32)) for i, shape in enumerate(SHAPES)]
    ran = play(calls, len(SHAPES) + 1, schedule=order, resident=resident)
    return ran.ending, [int(word) for word in ran.out[0][1:]]


@pytest.fixture(scope="module")
def begins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedKernel]:
    """COUNTS with each beginning."""
    folder = tmp_path_factory.mktemp("counts")
    return {begin: compiled(folder, COUNTS % begin, "1x1", 64) for begin in (USUAL, EARLY, NO_TRIGGER, NEVER)}


@pytest.mark.parametrize("turns", [(USUAL, EARLY), (EARLY,), (NO_TRIGGER, USUAL)], ids=["mixed", "early", "no-trigger"])
@pytest.mark.parametrize("resident", [0, 4], ids=["no-bound", "four-blocks"])
def test_a_kernel_that_waits_sees_what_the_one_before_has_written(
    begins: dict[str, LoadedKernel], turns: tuple[str, ...], resident: int
) -> None:
    kernels = [begins[begin] for begin in turns]
    for seed in range(SEEDS):
        assert counts(kernels, seed, resident) == (Ending.DONE, list(range(len(SHAPES)))), seed


def test_a_kernel_that_never_waits_sees_what_was_there_before(begins: dict[str, LoadedKernel]) -> None:
    found = {tuple(counts([begins[NEVER]], seed)[1]) for seed in range(10)}
    assert len(found - {tuple(range(len(SHAPES)))}) > 3


MEET = """KERNEL(a) {
  wait_for_previous_kernel();
  u64* word = reinterpret_cast<u64*>(a.scratch[a.place] + FLAGGED_AT) + 8 * a.count;
  add_word(word, 1);
  while (load_word(word) < gridDim.x) pause([&] { return Missing{word, {EXCHANGE, 0, 0}, 0}; });
}
"""


@pytest.mark.parametrize(
    ("resident", "ending"), [(0, Ending.DONE), (3, Ending.DONE), (2, Ending.DEADLOCK)], ids=["all", "three", "two"]
)
def test_blocks_that_wait_for_each_other_must_all_be_resident(tmp_path: Path, resident: int, ending: Ending) -> None:
    kernel = compiled(tmp_path, MEET, "1x1", 1)
    calls = [Call(kernel, (blocks, 1), np.zeros(blocks, np.uint32)) for blocks in (1, 3, 2)]
    assert play(calls, 1, resident=resident).ending is ending


# ---- Stores belong to a thread, not to the fiber that runs it ----

# Launches differ in their numbers of threads, so some of rank 1 get fibers that ran threads of rank 0.
HANDED_ON = """KERNEL(a) {
  __shared__ u32 arrived[32];
  wait_for_previous_kernel();
  u64* words = reinterpret_cast<u64*>(a.scratch[1] + FLAGGED_AT);
  if (a.count == 1 && a.place == 0 && blockIdx.x == 0) store_word(words + threadIdx.x, 1);
  if (a.count == 1 || a.place == 0) return;
  for (int i = 0; i < 32; i++) if (load_word(words + i) == 1) arrived[i] = 1;
  __syncthreads();
  for (int i = 0; i < 32; i++) if (arrived[i] && load_word(words + i) == 0) *reinterpret_cast<u32*>(a.out) = 1;
}
"""


WIDER = ((1, 32), (3, 32), (1, 8), (6, 16), (1, 32), (3, 32))


def test_a_thread_does_not_see_what_a_thread_of_another_rank_has_in_flight(tmp_path: Path) -> None:
    kernel = compiled(tmp_path, HANDED_ON, "1x2", 32)
    calls = [Call(kernel, shape, np.zeros(1 + n, np.uint32)) for n, shape in enumerate(WIDER)]
    for seed in range(SEEDS):
        order = replace(schedules.draw(seed, 2, 1, 32), prompt=0, run=ALWAYS)
        ran = play(calls, 1, "1x2", order)
        assert (ran.ending, [int(out[0]) for out in ran.out]) == (Ending.DONE, [0, 0]), seed


# ---- Mistakes in our kernels ----

READS_EPOCH = """  wait_for_previous_kernel();
  let_next_kernel_launch();
  const u64 epoch = load_word(&a.state->ticks) / TICKS;
"""
MISTAKES = {
    "no wait": READS_EPOCH.replace("  wait_for_previous_kernel();\n", ""),
    "epoch before the wait": "".join(READS_EPOCH.splitlines(keepends=True)[i] for i in (2, 0, 1)),
}


@pytest.mark.parametrize("name", ["nvrar-ll", "oneshot"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_kernel_that_reads_before_it_waits_is_caught(tmp_path: Path, name: str, mistake: str) -> None:
    wrong = patched((Patch("common/call.cuh", READS_EPOCH, MISTAKES[mistake]),), name, tmp_path)
    cast = cast_for(wrong, Draws(name, "1x3", "float32", (4, 1028)))
    with np.errstate(all="ignore"):
        assert any(run_scene(draw_scene(cast, seed)).wrong for seed in range(10))


@pytest.mark.parametrize("name", ["nvrar-ll", "oneshot"])
def test_a_kernel_that_lets_the_next_one_start_before_it_waits_passes(tmp_path: Path, name: str) -> None:
    lines = READS_EPOCH.splitlines(keepends=True)
    early = patched((Patch("common/call.cuh", READS_EPOCH, "".join((lines[1], lines[0], lines[2]))),), name, tmp_path)
    cast = cast_for(early, Draws(name, "1x3", "float32", (4, 1028)))
    for seed in range(10):
        assert run_scene(draw_scene(cast, seed)).wrong == ""
