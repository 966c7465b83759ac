// CUDA's threads for both runtimes: fibers in warps and blocks, with their barriers and shared memory.
#pragma once

#include <cstring>
#include <vector>

#include "fibers.h"

// ---- Barriers of warps and blocks ----

struct Warp {
  u32 alive = 0, here = 0;     // lanes
  u32 meetings[32] = {};
  u64 given[32] = {};
  std::vector<u64> seen;       // 32 values per lane, after the first exchange
};
struct Block {
  u32 alive = 0, here = 0, ending = 0, meetings = 0;
  std::vector<Warp> warps;
  std::vector<char> shared;    // its copy of the kernel's shared memory
};
struct Thread : Self {
  Fiber fiber;
  Block* home = nullptr;
  Warp& warp() { return home->warps[thread.x / 32]; }
  u32 bit() const { return 1u << thread.x % 32; }
};

void wait_until_moved(const u32& counter, u32 from);  // run others while `counter` is `from`; the runtime's
void moved(const u32& counter);                       // its waiters may run; the runtime's

inline void free_block(Block& block) {
  if (block.here == 0 || block.here < block.alive) return;
  block.here = 0;
  block.meetings++;
  moved(block.meetings);
}
inline void meet_block(Thread& me) {
  const u32 now = me.home->meetings;
  me.home->here++;
  free_block(*me.home);
  wait_until_moved(me.home->meetings, now);
}
inline const u64* meet_warp(Thread& me, u32 lanes, u64 value) {
  Warp& warp = me.warp();
  const u32 number = me.thread.x % 32, now = warp.meetings[number], all = lanes & warp.alive;
  warp.seen.resize(32 * 32);
  warp.given[number] = value;
  warp.here |= me.bit();
  if ((warp.here & all) == all) {
    warp.here &= ~all;
    for (u32 i = 0; i < 32; i++) {
      if (!(all >> i & 1)) continue;
      std::memcpy(&warp.seen[32 * i], warp.given, sizeof(warp.given));
      warp.meetings[i]++;
      moved(warp.meetings[i]);
    }
  }
  wait_until_moved(warp.meetings[number], now);
  return &warp.seen[32 * number];
}
// Reset a block to `threads` live threads.
inline void gather(Block& block, u32 threads, std::size_t shared) {
  block.alive = threads, block.here = block.ending = 0;
  block.shared.assign(shared, 0);
  block.warps.resize((threads + 31) / 32);
  for (u32 i = 0; i < block.warps.size(); i++) {
    const u32 left = threads - 32 * i;
    block.warps[i].alive = left < 32 ? (1u << left) - 1 : 0xffffffffu;
    block.warps[i].here = 0;
  }
}
// A thread that returned from its kernel no longer takes part in barriers.
inline void leave(Thread& me) {
  me.home->alive--;
  me.warp().alive &= ~me.bit();
  free_block(*me.home);
}

// ---- Shared memory: one section of the kernel's library, which holds that of the running block ----

struct Section {
  char *begin = nullptr, *end = nullptr;
  Block* owner = nullptr;
  std::size_t size() const { return end - begin; }
  void enter(Block* block) {
    if (block == owner || begin == end) return;
    if (owner) std::memcpy(owner->shared.data(), begin, size());
    std::memcpy(begin, block->shared.data(), size());
    owner = block;
  }
};
