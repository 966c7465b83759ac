"""Little programs whose outcomes PTX's memory model allows or forbids: what it allows shows within a few seeds, what it
forbids never does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from emulated import Patch, needs_compiler, patched
from programs import Call, Shape, compiled, play

from collbench.kernels.host_compiler import LoadedKernel
from collbench.verify import schedules
from collbench.verify.emulator import Ending

pytestmark = needs_compiler
SEEDS = 60

PROGRAMS = """
enum Fence { NO, OF_A_BLOCK, OF_A_DEVICE, OF_ALL };
INLINE void order(u32 fence) {
  if (fence == OF_A_BLOCK) __threadfence_block();
  if (fence == OF_A_DEVICE) __threadfence();
  if (fence == OF_ALL) __threadfence_system();
}
KERNEL(a) {
  // The count is a program and two digits of it, the fences of the thread that writes and of the one that reads.
  const u32 program = a.count / 100, writes = a.count / 10 % 10, reads = a.count % 10;
  const int me = a.place;
  const u32 thread = threadIdx.x, block = blockIdx.x;
  const auto word = [&](int place, int i) { return reinterpret_cast<u64*>(a.scratch[place] + FLAGGED_AT + 64 * i); };
  const auto await = [&](const u64* p, u64 value, bool acquire) {
    while ((acquire ? load_acquire_system(p) : load_word(p)) < value)
      pause([&] { return Missing{p, {EXCHANGE, 0, 0}, 0}; });
  };
  u32* out = reinterpret_cast<u32*>(a.out);
  u64 *data = word(1, 0), *flag = word(1, 1), *mine = word(me, 2), *other = word(me, 3);
  const auto wrong = [&](bool is) { if (is) *out = 1; };

  if (program == 1 && thread == 0) {  // data, then a flag, to a peer
    if (me == 0) {
      store_word(data, 1);
      if (writes == 4) store_release_system(flag, 1);
      else order(writes), store_word(flag, 1);
    } else {
      if (reads == 5) order(OF_ALL);  // too early
      await(flag, 1, reads == 4);
      order(reads == 5 ? 0 : reads);
      wrong(load_word(data) != 1);
    }
  }
  if (program == 2) {  // data in own memory, a barrier, another thread's flag to a peer
    if (me == 0) {
      if (thread == 1) store_word(word(0, 0), 1), order(reads);
      __syncthreads();
      if (thread == 0) order(writes), store_word(flag, 1);
    } else if (thread == 0) {
      await(flag, 1, true);
      wrong(load_word(word(0, 0)) != 1);
    }
  }
  if (program == 3 && thread == 0) {  // plain data, a flag, another block
    if (block == 0) *mine = 0, store_word(mine, 1), order(writes), store_word(other, 1);
    else await(other, 1, false), order(reads), wrong(load_word(mine) != 1);
  }
  if (program == 4 && me == 1) {  // a thread polls, a barrier, another thread loads
    if (thread == 0) await(flag, 1, reads == 4), order(reads);
    if (writes == 1) __syncwarp();
    else if (writes == 2) __shfl_sync(0xffffffffu, thread, 0);
    else __syncthreads();
    if (thread == (writes == 3 ? 33 : 7)) wrong(load_word(data) != 1);
  } else if (program == 4 && thread == 0) store_word(data, 1), store_release_system(flag, 1);
  if (program == 5) {  // stores within a block
    if (thread == 0) store_word(mine, 1);
    if (writes == 0) __syncthreads();
    if (writes == 1) __syncwarp();
    if (writes == 2) __shfl_sync(0xffffffffu, thread, 0);
    if (writes == 3) __ballot_sync(0xffffffffu, 1);
    if (thread == (reads ? 40 : 9)) wrong(load_word(mine) != 1);
  }
  if (program == 6 && thread == 0) {  // through a third thread: a peer, then another block of the reader
    if (me == 0 && block == 0) store_word(data, 1), store_release_system(flag, 1);
    if (me == 1 && block == 0) await(flag, 1, false), order(writes), store_word(mine, 1);
    if (me == 1 && block == 1) await(mine, 1, false), order(reads), wrong(load_word(data) != 1);
  }
  if (program == 7 && thread == 0) {  // the last block of two adds
    store_word(word(me, 4 + block), 1);
    order(writes);
    if (atomicAdd(reinterpret_cast<unsigned long long*>(mine), 1) == 1) {
      order(reads);
      wrong(load_word(word(me, 4)) + load_word(word(me, 5)) != 2);
    }
  }
  if (program == 8 && thread == 0) {  // coherence: a location never goes back
    for (u64 i = 1; me == 0 && i < 20; i++) store_word(data, i);
    for (u64 i = 1, last = 0; me == 1 && i < 60; i++) {
      const u64 next = load_word(data);
      wrong(next < last);
      last = next;
    }
  }
  if (program == 9 && thread == 0) {  // each stores its own and loads the other's
    store_word(word(me, 6), 1);
    order(writes);
    store_word(word(me, 8), 1 + load_word(word(1 - me, 6)));
    __threadfence_system();
    await(word(1 - me, 8), 1, true);
    wrong(load_word(word(me, 8)) + load_word(word(1 - me, 8)) == 2);
  }
  if (program == 11) {  // what one thread has read, another reads after a barrier or a message
    if (me == 0 && block == 0 && thread == 0) store_word(data, 1);
    if (me == 1 && block == 0 && thread == 0) await(data, 1, false);
    __syncthreads();
    if (me == 1 && block == 0 && thread == 40) wrong(load_word(data) != 1), order(writes), store_word(mine, 1);
    if (me == 1 && block == 1 && thread == 0) await(mine, 1, false), order(reads), wrong(load_word(data) != 1);
  }
  if (program == 10 && thread == 0) {  // own stores, in the order of the program
    if (block) return;
    for (u64 i = 1; i < 9; i++) {
      store_word(mine, i);
      wrong(load_word(mine) != i);
      if (i % 3 == 0) order(writes);
    }
  }
}
"""
NONE, BLOCK, DEVICE, SYSTEM, WORD, EARLY = range(6)


@dataclass(frozen=True)
class Litmus:
    """A program, the fences of its writer and its reader, and whether PTX allows the outcome called wrong."""

    number: int
    name: str
    writes: int
    reads: int
    allowed: bool
    layout: str = "1x2"
    shape: Shape = (1, 64)


def pairs(number: int, name: str, right: Sequence[tuple[int, int]], wrong: Sequence[tuple[int, int]],
          layout: str = "1x2", shape: Shape = (1, 64)) -> Iterator[Litmus]:  # fmt: skip
    """The variants of a program."""
    for allowed, fences in ((False, right), (True, wrong)):
        for one in fences:
            yield Litmus(number, name, *one, allowed, layout, shape)


BLOCKS = (2, 64)
LITMUS = (
    *pairs(1, "message", [(SYSTEM, SYSTEM), (SYSTEM, WORD), (WORD, WORD), (WORD, SYSTEM)],
           [(NONE, SYSTEM), (BLOCK, SYSTEM), (DEVICE, SYSTEM), (DEVICE, DEVICE), (SYSTEM, NONE), (SYSTEM, BLOCK),
            (SYSTEM, DEVICE), (SYSTEM, EARLY), (WORD, NONE)]),
    *pairs(2, "barrier-then-flag", [(SYSTEM, NONE)], [(NONE, NONE), (DEVICE, NONE), (BLOCK, NONE), (NONE, DEVICE)]),
    *pairs(3, "another-block", [(DEVICE, DEVICE), (SYSTEM, SYSTEM), (DEVICE, SYSTEM)],
           [(NONE, NONE), (NONE, DEVICE), (DEVICE, NONE), (BLOCK, BLOCK), (DEVICE, BLOCK)], "1x1", BLOCKS),
    *pairs(4, "flag-then-barrier", [(NONE, WORD), (NONE, SYSTEM), (BLOCK, WORD)],
           [(NONE, NONE), (NONE, DEVICE), (DEVICE, WORD)]),
    *pairs(5, "within-a-block", [(NONE, NONE), (NONE, BLOCK), (BLOCK, NONE)],
           [(BLOCK, BLOCK), (DEVICE, NONE), (SYSTEM, NONE)], "1x1"),
    *pairs(6, "third-thread", [(SYSTEM, DEVICE), (SYSTEM, SYSTEM)],
           [(NONE, DEVICE), (DEVICE, DEVICE), (SYSTEM, NONE), (SYSTEM, BLOCK)], "1x2", BLOCKS),
    *pairs(7, "last-block", [(DEVICE, DEVICE)], [(NONE, DEVICE), (DEVICE, NONE), (BLOCK, DEVICE)], "1x1", BLOCKS),
    *pairs(8, "coherence", [(NONE, NONE)], []),
    *pairs(9, "store-buffers", [(SYSTEM, NONE)], [(NONE, NONE), (DEVICE, NONE)]),
    *pairs(11, "what-was-read", [(DEVICE, DEVICE)], [], "1x2", BLOCKS),
    *pairs(10, "own-stores", [(NONE, NONE), (DEVICE, NONE), (SYSTEM, NONE)], []),
)  # fmt: skip


# The last call of an era leaves a cell with the flag of the first call of the next one.
ERAS = """KERNEL(a) {
  const Call call = begin_call(a);
  char* cell = a.scratch[a.place] + FLAGGED_AT;
  if (a.count == 2 && arrived(load_cell(cell), call.flag())) *reinterpret_cast<u32*>(a.out) = 1;
  if (a.count == 1 && threadIdx.x == 0 && blockIdx.x == 0) store_cell(cell, {7, 2, 7, 2});
  end_call(call);
}
"""
ERA_FENCE = "    __threadfence();  // with block 0's fence"


@pytest.mark.parametrize("fence", [True, False])
def test_after_the_wrap_no_block_sees_flags_of_the_era_before(tmp_path: Path, fence: bool) -> None:
    patches = () if fence else (Patch("common/epoch.cuh", ERA_FENCE, "    //"),)
    patched(patches, "oneshot", tmp_path)
    kernel = compiled(tmp_path, ERAS, "1x2", 32)
    calls = [Call(kernel, (2, 32), np.zeros(count, np.uint32)) for count in (1, 2)]
    found = set()
    for seed in range(SEEDS):
        ran = play(calls, 1, "1x2", schedules.draw(seed, 2, 2, 32), (1 << 32) - 1)
        assert ran.ending is Ending.DONE
        found |= {int(out[0]) for out in ran.out}
    assert found == ({0} if fence else {0, 1})


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedKernel]:
    """The programs, compiled for one and for two ranks."""
    folder = tmp_path_factory.mktemp("litmus")
    return {layout: compiled(folder, PROGRAMS, layout, 64) for layout in ("1x1", "1x2")}


def goes_wrong(one: Litmus, kernel: LoadedKernel, seed: int) -> bool:
    """Whether the outcome called wrong shows under a seed."""
    given = np.zeros(100 * one.number + 10 * one.writes + one.reads, np.uint32)
    order = schedules.draw(seed, 2 if one.layout == "1x2" else 1, *one.shape)
    ran = play([Call(kernel, one.shape, given)], 1, one.layout, order)
    assert ran.ending is Ending.DONE, (one, seed, ran.story)
    return any(bool(out[0]) for out in ran.out)


@pytest.mark.parametrize("one", LITMUS, ids=[f"{one.name}-{one.writes}-{one.reads}" for one in LITMUS])
def test_what_the_model_allows_shows_and_nothing_else(one: Litmus, programs: dict[str, LoadedKernel]) -> None:
    shown = any(map(partial(goes_wrong, one, programs[one.layout]), range(SEEDS)))
    assert shown == one.allowed
