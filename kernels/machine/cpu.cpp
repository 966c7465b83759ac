// Runs the kernels of one rank: the threads of all blocks are fibers that run round-robin. A fiber that waits for a
// cell yields to the next. If it waits for the same cell again at its next turn, it first yields the processor to other
// ranks, since most likely none of the cells that this rank waits for has arrived.
#define HOST(name) coll_cpu_##name
#include "host.h"

#include "threads.h"

#include <ctime>
#include <deque>
#include <sched.h>

extern "C" void coll_cpu_yield(const void* cell);
extern "C" void* coll_cpu_peer(const void* mine, int pe);

namespace {

struct Runner : Thread {
  Runner *next, *previous;
  const void* cell;  // that it last waited for
};
struct Window { char* mine; std::size_t bytes; std::vector<char*> copies; };  // symmetric memory of every PE
using Kernel = void (*)(const void*);

std::deque<Runner> runners;  // created once, reused by every call; a deque, since fibers hold their addresses
std::vector<Block> blocks;
std::vector<Window> windows;
Section section;
Fiber host;
bool trapped;
Kernel kernel;
const void* args;

Runner& me() { return *static_cast<Runner*>(HOST(self)); }

void go_to(Runner& next) {
  section.enter(next.home);
  HOST(self) = &next;
}
bool grow(std::size_t count) {
  const std::size_t more = count > runners.size() ? count - runners.size() : 0;
  char* memory = more ? reserve(more * STACK) : nullptr;
  if (more && !memory) return false;
  for (std::size_t i = 0; i < more; i++) {
    runners.emplace_back();
    runners.back().fiber.stack = memory + i * STACK;
    make(runners.back().fiber);
  }
  return true;
}
void place_in_grid(u32 grid, u32 width) {
  blocks.resize(grid);
  auto one = runners.begin();
  for (u32 b = 0; b < grid; b++)
    for (u32 t = 0; t < width; t++, one++) {
      static_cast<Self&>(*one) = {{t, 0, 0}, {b, 0, 0}, {width, 1, 1}, {grid, 1, 1}};
      one->home = &blocks[b];
    }
}
void line_up(u32 count) {
  Runner* before = nullptr;
  for (auto one = runners.begin(); count; one++, count--) {
    one->cell = nullptr;
    one->previous = before;
    if (before) before->next = &*one;
    before = &*one;
  }
  before->next = &runners.front();
  runners.front().previous = before;
}
const Window& window_of(const void* mine) {
  for (const Window& one : windows)
    if (mine >= one.mine && mine < one.mine + one.bytes) return one;
  HOST(trap)();  // not symmetric memory
}

}  // namespace

void live() {
  for (;;) {
    kernel(args);
    Runner& self = me();
    leave(self);
    self.previous->next = self.next;
    self.next->previous = self.previous;
    if (self.next == &self) {  // the last fiber
      change(self.fiber, host);
      continue;
    }
    go_to(*self.next);
    change(self.fiber, self.next->fiber);
  }
}
void wait_until_moved(const u32& counter, u32 from) {
  while (counter == from) HOST(yield)(nullptr);
}
void moved(const u32&) {}

extern "C" {
Self* coll_cpu_self;

void coll_cpu_yield(const void* cell) {
  Runner &self = me(), &next = *self.next;
  if (cell && cell == self.cell) sched_yield();
  self.cell = cell;
  if (&next == &self) return;
  go_to(next);
  change(self.fiber, next.fiber);
}
bool coll_cpu_last() { return ++me().home->ending == me().threads.x; }
void coll_cpu_sync_block() { meet_block(me()); }
void coll_cpu_sync_warp(u32 lanes) { meet_warp(me(), lanes, 0); }
const u64* coll_cpu_exchange(u32 lanes, u64 value) { return meet_warp(me(), lanes, value); }
u64 coll_cpu_nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return u64(now.tv_sec) * 1000000000u + u64(now.tv_nsec);
}
void coll_cpu_trap() {
  trapped = true;
  change(me().fiber, host);
  std::abort();
}
void* coll_cpu_peer(const void* mine, int pe) {
  const Window& one = window_of(mine);
  return one.copies[pe] + (static_cast<const char*>(mine) - one.mine);
}
// In whole words, as a network delivers them.
void coll_cpu_put(void* to, const void* from, std::size_t bytes, int pe) {
  u64* target = static_cast<u64*>(coll_cpu_peer(to, pe));
  for (std::size_t i = 0; i < bytes / 8; i++)
    __atomic_store_n(target + i, static_cast<const u64*>(from)[i], __ATOMIC_RELAXED);
}

// `copies`: the address on every PE of what is at `mine` here.
void coll_cpu_attach(char* mine, std::size_t bytes, char* const* copies, int pes) {
  windows.push_back({mine, bytes, std::vector<char*>(copies, copies + pes)});
}
void coll_cpu_detach(const char* mine) {
  for (std::size_t i = windows.size(); i-- > 0;)
    if (windows[i].mine == mine) windows.erase(windows.begin() + i);
}
// Runs a kernel to its end. Returns 1 if it trapped (its fibers cannot be reused then), 2 if there is no memory for
// stacks, 3 if a stack was too small, else 0.
int coll_cpu_run(Kernel what, const void* with, u32 grid, u32 width, char* shared, char* shared_end) {
  if (trapped) return 1;
  if (!grow(std::size_t(grid) * width)) return 2;
  const bool same = kernel == what && blocks.size() == grid && runners.front().threads.x == width;
  kernel = what, args = with;
  section = {shared, shared_end, nullptr};
  if (!same) place_in_grid(grid, width);
  for (Block& block : blocks) gather(block, width, section.size());
  line_up(grid * width);
  // Stores of the previous call precede this one, as between two kernels of a stream.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  go_to(runners[0]);
  change(host, runners[0].fiber);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (const Runner& one : runners)
    if (!same && overflowed(one.fiber)) return 3;  // a kernel needs the same stack each time
  return trapped;
}
}
