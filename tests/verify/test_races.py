"""The emulator reports races between threads of a rank on its buffers, and accesses that a GPU would not align."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emulated import Draws, Patch, cast_for, kernel, needs_compiler, patched
from programs import NOTHING, Call, compiled, play, run

from collbench.verify import schedules
from collbench.verify.emulator import Ending
from collbench.verify.playing import run_scene
from collbench.verify.scenes import EmulatedScene, draw_scene

pytestmark = needs_compiler

RACES = """KERNEL(a) {
  wait_for_previous_kernel();
  const u32 program = a.count, thread = threadIdx.x + blockDim.x * blockIdx.x;
  u32* out = reinterpret_cast<u32*>(a.out);
  u64* flag = reinterpret_cast<u64*>(a.scratch[a.place] + FLAGGED_AT);
  if (program == 1 && (thread == 0 || thread == 40)) store_plain(out, thread);
  if (program == 2 && thread == 0) store_plain(out, thread);
  if (program == 2 && thread == 64) load_plain(reinterpret_cast<const u16*>(out) + 1);
  if (program == 3) {
    if (thread == 0) store_plain(out, thread);
    __syncthreads();
    if (thread == 40) store_plain(out, thread);
  }
  if (program == 4) {
    if (thread == 0) store_plain(out, thread);
    __syncwarp();
    if (thread == 40) store_plain(out, thread);
  }
  if (program == 5) {
    if (thread == 0) store_plain(out, thread), __threadfence(), store_word(flag, 1);
    if (thread == 64) {
      while (load_word(flag) == 0) pause([&] { return Missing{flag, {EXCHANGE, 0, 0}, 0}; });
      __threadfence();
      store_plain(out, thread);
      store_word(flag, 0);
    }
  }
  if (program == 6) store_plain(reinterpret_cast<u16*>(out) + thread, u16(thread));
  if (program == 7) load_plain(out);
  if (program == 8 && thread == 5) load_plain(out);
  if (program == 8 && thread == 9) store_plain(out, thread);
}
"""
ENDINGS = {1: Ending.RACE, 2: Ending.RACE, 3: Ending.DONE, 4: Ending.RACE, 5: Ending.DONE, 6: Ending.DONE,
           7: Ending.DONE, 8: Ending.RACE}  # fmt: skip


@pytest.mark.parametrize(("program", "ending"), ENDINGS.items())
def test_two_threads_at_the_same_bytes_need_an_order(tmp_path: Path, program: int, ending: Ending) -> None:
    call = Call(compiled(tmp_path, RACES, "1x1", 64), (2, 64), np.zeros(program, np.uint32))
    for seed in range(20):
        assert play([call, call], 128, schedule=schedules.draw(seed, 1, 2, 64)).ending is ending, seed


def test_a_race_names_both_threads_and_the_place(tmp_path: Path) -> None:
    call = Call(compiled(tmp_path, RACES, "1x1", 64), (2, 64), np.zeros(2, np.uint32))
    order = replace(schedules.draw(0, 1, 2, 64), run_order=0, stay=0, victim=schedules.NO_VICTIM)
    ran = play([call], 2, schedule=order)
    assert ran.story == [
        "rank 0, communicator 0: block 1, thread 0 of launch 1 loads 2 bytes at byte 2 of the output, and block 0, "
        "thread 0 of launch 1 stores it, with no order between them"
    ]


@pytest.mark.parametrize(
    ("access", "words"),
    [
        ("load_plain(reinterpret_cast<const u64*>(a.out + 4))", "loads 8 bytes at byte 4 of the output"),
        ("store_plain(reinterpret_cast<u32*>(a.out + 2), 7u)", "stores 4 bytes at byte 2 of the output"),
        ("load_cell(a.scratch[0] + 8)", "loads 16 bytes at address 0x"),
    ],
)
def test_a_misaligned_access_ends_the_run(tmp_path: Path, access: str, words: str) -> None:
    ran = run(tmp_path, f"KERNEL(a) {{ {access}; }}", NOTHING, 8)
    assert ran.ending is Ending.MISALIGNED
    assert words in ran.story[0]
    assert ran.story[0].endswith("which is no multiple of its size")


# ---- Mistakes in our kernels ----

ALIGNED = "aligned = (addresses & (PAYLOAD - 1)) == 0;"


def scene_of(patch: Patch | None, folder: Path, seed: int, shift: int = 0, in_place: bool = False) -> EmulatedScene:
    """A scene of oneshot, changed by ``patch``, whose buffers are misaligned by ``shift`` elements."""
    lead = patched((patch,), "oneshot", folder) if patch else kernel("oneshot")
    scene = draw_scene(cast_for(lead, Draws("oneshot", "1x2", "float16", (1026,), threads=32)), seed)
    changed = tuple(
        replace(part, shifts=(0, shift), problem=replace(part.problem, in_place=in_place)) for part in scene.parts
    )
    return replace(scene, parts=changed, chained=False)


def test_a_kernel_that_ignores_alignment_is_caught(tmp_path: Path) -> None:
    patch = Patch("common/buffers.cuh", ALIGNED, ALIGNED.replace("PAYLOAD", "WIDTH"))
    assert run_scene(scene_of(patch, tmp_path, 0, shift=1)).wrong == "a misaligned access"


def test_a_kernel_that_tests_the_input_s_alignment_only_is_caught(tmp_path: Path) -> None:
    both = "const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both"
    patch = Patch("oneshot.cu", both, "const u64 both = u64(a.in);")
    assert run_scene(scene_of(patch, tmp_path, 0, shift=1)).wrong == "a misaligned access"


def test_a_kernel_whose_threads_share_an_output_cell_is_caught(tmp_path: Path) -> None:
    twice = "output.store(c, round_sum(total)); if (c) output.store(c - 1, round_sum(total));"
    patch = Patch("oneshot.cu", "output.store(c, round_sum(total));", twice)
    with np.errstate(all="ignore"):
        verdicts = [run_scene(scene_of(patch, tmp_path, seed)) for seed in range(3)]
    assert {verdict.wrong for verdict in verdicts} == {"a race between threads of a rank"}
    assert "of the output, and block " in verdicts[0].waits[0]


def test_reading_another_thread_s_input_in_place_is_a_race(tmp_path: Path) -> None:
    patch = Patch("oneshot.cu", "mine = input.load(c);", "mine = input.load((c ^ 1) < cells ? c ^ 1 : c);")
    assert run_scene(scene_of(patch, tmp_path, 0, in_place=True)).wrong == "a race between threads of a rank"
    assert run_scene(scene_of(None, tmp_path, 0, in_place=True)).wrong == ""
