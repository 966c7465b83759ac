// Epochs: the number of a call is the flag of its cells, and what happens when its 32 bits wrap.
//
// After a wrap, flags in the flagged halves could be mistaken for those of 2^32 calls ago. So the first call of a new
// era runs a barrier of all ranks, clears, and runs another; once in 2^32 calls. An era begins with epoch 2: a flag of
// 0 is a cleared cell, and 2 keeps the parities alternating.
#pragma once

constexpr u64 TICKS = 4096;  // per call, whatever its grid: the quotient moves on with the last block's share

// The barrier. The two of an era have gates of their own: over a network, the put of the first may arrive after that of
// the second.
OUTLINE void meet(const Args& a, u64 epoch, u64 value) {
  u64* const mine = reinterpret_cast<u64*>(a.scratch[a.place] + GATES_AT);
  const u32 first = value % 2 * PLACES;
  for (int q = threadIdx.x; q < PLACES; q += blockDim.x) {
    if (a.scratch[q]) store_word(reinterpret_cast<u64*>(a.scratch[q] + GATES_AT) + first + a.place, value);
#if COLL_USES_PUT
    else {
      u64* const source = mine + 2 * PLACES + value % 2;
      store_word(source, value);
      nvshmem_putmem(mine + first + a.place, source, sizeof(u64), a.pe[q]);
    }
#endif
    u64 begin = 0;
    const u64* const gate = mine + first + q;
    while (load_word(gate) < value) {
      pause([&] { return Missing{gate, {REWIND, 0, u32(q)}, epoch}; });
      if (too_long(a, begin)) give_up(a.state, a.stuck, a.place, {REWIND, 0, u32(q)}, epoch);
    }
    __threadfence_system();  // with the fence before the other rank's second meeting: its clearing precedes our stores
  }
  __syncthreads();
}

OUTLINE void rewind(const Args& a, u64 epoch) {
  if (blockIdx.x == 0) {
    meet(a, epoch, 2 * epoch);  // no put of the last call still reads its source here
    char* flagged = a.scratch[a.place] + FLAGGED_AT;
    constexpr u64 cells = 2 * COLL_FLAGGED_HALF / CELL;
    for (u64 i = threadIdx.x; i < cells; i += blockDim.x) store_cell(flagged + i * CELL, {0, 0, 0, 0});
    __syncthreads();
    __threadfence_system();  // what the whole block has cleared precedes this thread's words to other ranks and blocks
    meet(a, epoch, 2 * epoch + 1);
    if (threadIdx.x == 0) store_word(&a.state->era, epoch >> 32);
  } else if (threadIdx.x == 0) {
    u64 begin = 0;
    while (load_word(&a.state->era) < epoch >> 32) {
      pause([&] { return Missing{&a.state->era, {REWIND, 1, u32(a.place)}, epoch}; });
      if (too_long(a, begin)) give_up(a.state, a.stuck, a.place, {REWIND, 1, u32(a.place)}, epoch);
    }
    __threadfence();  // with block 0's fence: no load of this block returns what was there before the clearing
  }
  __syncthreads();
}
