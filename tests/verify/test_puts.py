"""Puts in the emulator: a proxy's, which read their source when they arrive, and copies by the threads of a block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emulated import Draws, Patch, cast_for, kernel, needs_compiler, patched
from programs import Call, compiled, play

from collbench.kernels.host_compiler import LoadedKernel
from collbench.kernels.kernel import Kernel
from collbench.verify import schedules
from collbench.verify.emulator import Ending
from collbench.verify.playing import run_scene
from collbench.verify.scenes import EmulatedScene, draw_scene

pytestmark = needs_compiler
SEEDS = 60

# Rank 0 packs 32 cells, one per thread, puts them, and overwrites them; the count says with which barriers.
PUTS = """KERNEL(a) {
  const Call call = begin_call(a);
  const u32 t = threadIdx.x;
  if (a.place == 0) {
    call.send(0, 64 + 16 * t, Words{100 + t, t});
    if (a.count & 1) __syncthreads();
    nvshmemx_putmem_nbi_block(call.own + 2048, call.own + 64, 32 * CELL, a.pe[1]);
    if (a.count & 2) __syncthreads();
    if (a.count & 4) call.send(0, 64 + 16 * t, Words{900 + t, t});
  } else {
    const Words got = call.receive_one(2048 + 16 * t, {EXCHANGE, 0, 0});
    reinterpret_cast<u32*>(a.out)[t] = got.w[0] - 100 - t;
  }
  end_call(call);
}
"""
PACKED, COPIED, OVERWRITTEN = 1, 2, 4


@pytest.fixture(scope="module")
def puts(tmp_path_factory: pytest.TempPathFactory) -> LoadedKernel:
    """The program, compiled."""
    return compiled(tmp_path_factory.mktemp("puts"), PUTS, "2x1", 32)


@pytest.mark.parametrize(
    ("how", "copies", "right"),
    [
        (PACKED, False, True),
        (PACKED, True, True),
        (0, False, False),
        (0, True, False),
        (PACKED + OVERWRITTEN, False, False),
        (PACKED + OVERWRITTEN, True, False),
        (PACKED + COPIED + OVERWRITTEN, False, False),  # a proxy may read its source at any time
        (PACKED + COPIED + OVERWRITTEN, True, True),
    ],
)
def test_what_a_put_carries(puts: LoadedKernel, how: int, copies: bool, right: bool) -> None:
    seen = set()
    for seed in range(SEEDS):
        order = replace(schedules.draw(seed, 2, 1, 32), copies=copies)
        ran = play([Call(puts, (1, 32), np.zeros(8 + how, np.uint32))], 32, "2x1", order)
        seen.add(ran.ending is Ending.DONE and not ran.out[1].any())
    assert (seen == {True}) == right


NETWORK = Draws("nvrar-put", "4x1", "float32", (1028, 4100))


def scenes(lead: Kernel, copies: bool, seeds: int) -> Iterator[EmulatedScene]:
    """Scenes in which all puts are of one kind."""
    cast = cast_for(lead, NETWORK)
    for seed in range(seeds):
        scene = draw_scene(cast, seed)
        yield replace(scene, joined=False, schedule=replace(scene.schedule, copies=copies))


@pytest.mark.parametrize("copies", [False, True], ids=["proxy", "copies"])
def test_a_kernel_that_puts_passes_with_either_kind(copies: bool) -> None:
    assert [run_scene(scene).wrong for scene in scenes(kernel(NETWORK.kernel), copies, 6)] == [""] * 6


@pytest.mark.parametrize("copies", [False, True], ids=["proxy", "copies"])
def test_a_put_before_all_is_packed_is_caught_with_either_kind(tmp_path: Path, copies: bool) -> None:
    early = Patch("common/put.cuh", "__syncthreads();  // the whole chunk is packed", "//")
    wrong = patched((early,), NETWORK.kernel, tmp_path)
    with np.errstate(all="ignore"):
        assert any(run_scene(scene).wrong for scene in scenes(wrong, copies, 10))
