// Kernels of a stream, which overlap as programmatic dependent launch allows, and the barriers of their blocks.
#pragma once

#include "stores.h"

namespace {

// ---- Barriers ----

void wake_meeting(Home& home, const u32& counter) {
  for (u32 index : home.runners) {
    Runner& one = w->runners[index];
    if (one.meeting == &counter) one.meeting = nullptr, wake(one);
  }
}
// All threads of the block have come to its barrier: they see each other's stores from now on.
void met(Home& home) {
  home.met = now();
  home.stores = show_all(home.stores, nullptr, BLOCK, BLOCK);
}
// Its stores and what it has read, to the threads of its warp or block.
void hand_over(Runner& self, Level level) {
  append(self.block_home().stores, show_all(self.stores, nullptr, level, level));
  settle_seen(self);
}
void sync_block(Runner& self) {
  Home& home = self.block_home();
  hand_over(self, SELF);
  home.known.raise(self.view);
  meet_block(self);
  self.view.raise(home.known);
  self.view[WARP] = self.view[BLOCK] = std::max(self.view[BLOCK], home.met);
}
void sync_warp(Runner& self, u32 lanes) {
  Home& home = self.block_home();
  const u32 warp = self.thread.x / 32;
  hand_over(self, WARP);
  home.warps_know[warp].raise(self.view);
  meet_warp(self, lanes, 0);
  self.view.raise(home.warps_know[warp]);
  self.view[WARP] = std::max(self.view[WARP], home.warps_met[warp]);
}

// ---- Blocks and kernels ----

bool held_back(const Home& home, u32 pe, u32 warp) {
  const Plan& plan = w->plan;
  if (plan.victim == ALL_BUT_A_RANK) return plan.pe != pe;
  if (plan.pe != pe) return false;
  if (plan.victim == A_WARP) return plan.number == warp;
  return plan.victim == A_BLOCK ? plan.number == home.number : plan.victim == A_RANK;
}
void start(Stream& stream, Launch& launch) {
  Home& home = launch.blocks.emplace_back();
  const u32 width = launch.width;
  home.number = launch.started++, home.id = u32(w->names.size());
  w->names.push_back({launch.number, home.number});
  gather(home, width, launch.shared->size());
  home.warps_know.resize(home.warps.size()), home.warps_met.resize(home.warps.size());
  home.runners.assign(w->free_runners.rbegin(), w->free_runners.rbegin() + width);
  w->free_runners.resize(w->free_runners.size() - width);
  stream.used += width, w->ranks[stream.pe].resident++;
  for (u32 i = 0; i < width; i++) {
    Runner& one = w->runners[home.runners[i]];
    static_cast<Self&>(one) = {{i, 0, 0}, {home.number, 0, 0}, {width, 1, 1}, {launch.grid, 1, 1}};
    one.home = &home, one.stream = &stream, one.launch = &launch, one.pe = stream.pe, one.who = WIDEST * home.id + i;
    one.alive = true, one.outdated = false, one.meeting = nullptr, one.looked = w->event, one.wait = {};
    one.held_back = held_back(home, one.pe, home.number * ((width + 31) / 32) + i / 32);
    one.view = one.heard[0] = one.heard[1] = {};
    one.seen.clear();
    see_all(one, stream.completed);
    make(one.fiber);
    wake(one);
  }
}
// A kernel's blocks start when all of the kernel before have allowed it or ended, as soon as there is room.
void fill(Stream& stream) {
  for (Launch& next : stream.queue) {
    while (next.started < next.grid && stream.used + next.width <= w->plan.room &&
           (!w->plan.resident || w->ranks[stream.pe].resident < w->plan.resident))
      start(stream, next);
    if (next.quiet < next.grid) return;
  }
}
void fill_rank(u32 pe) {
  w->room = false;
  const u32 streams = u32(w->streams.size() / w->plan.pes);
  for (u32 i = 0; i < streams; i++) fill(w->streams[pe * streams + i]);
}
// The kernel's end: its stores are visible on its device, and those to its own memory have arrived there; those to
// other devices may still be in flight. The kernel after it need not wait any longer.
void complete(Stream& stream, Launch& launch) {
  for (Home& home : launch.blocks) append(w->ranks[stream.pe].stores, show_all(home.stores, nullptr, SYSTEM, DEVICE));
  stream.completed = now();
  for (Launch& next : stream.queue)
    if (next.number == launch.number + 1) {
      next.cleared = 1;
      for (Home& home : next.blocks) wake_meeting(home, next.cleared);
    }
  while (!stream.queue.empty() && stream.queue.front().ended == stream.queue.front().grid) stream.queue.pop_front();
}
void end_block(Runner& last) {
  Stream& stream = *last.stream;
  Launch& launch = *last.launch;
  Home& home = last.block_home();
  launch.quiet += !home.triggered;
  if (launch.shared->owner == &home) launch.shared->owner = nullptr;
  w->free_runners.insert(w->free_runners.end(), home.runners.begin(), home.runners.end());
  stream.used -= launch.width, w->ranks[stream.pe].resident--;
  w->room = true;
  if (++launch.ended == launch.grid) complete(stream, launch);
}

}  // namespace
