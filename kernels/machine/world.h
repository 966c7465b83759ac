// The state of the emulator: schedule, ranks, threads, memory, and the stores in flight.
#pragma once

#include "host.h"

#include "threads.h"

#include <deque>
#include <memory>

namespace {

using Kernel = void (*)(const void*);
constexpr std::size_t SHADOWED = 3;  // bytes per byte of memory: itself and its metadata

// ---- The interface to the host ----

enum Order : u32 { FIRST_COME, ANY, NEWEST };
enum Victim : u32 { NO_VICTIM, A_WARP, A_BLOCK, A_RANK, ALL_BUT_A_RANK, A_LINK };

struct Plan {
  u64 seed, pes, stride;    // bytes of memory of a PE
  u32 run_order, arrival_order;
  u32 prompt;               // of 256 stores, how many are visible at once
  u32 run;                  // of 256 events, how many are steps of threads where a store could arrive as well
  u32 stay;                 // of 256 accesses to memory, how many let the thread continue
  u32 tear;                 // of 256 loads of a cell, how many see its pieces at different times
  u32 victim, pe, number;   // what is delayed: warp, block or receiving rank `number` of rank `pe`
  u32 unused;
  u64 patience, most;       // a livelock: so many events without progress, or in total
};
struct Waiting { u32 pe, block, thread, phase, step, partner; u64 epoch, offset, low, high; };
enum Outcome : int { DONE, DEADLOCK, LIVELOCK, TRAPPED, OVERFLOW, OUTSIDE };

// ---- State ----

struct Launch {
  Kernel kernel;
  std::vector<char> args;
  u32 grid, width;
  Section* shared;
};
struct Stream;
struct Runner : Thread {
  Stream* stream;
  u32 pe, index, held_back;
  u64 looked;                 // the event of its last load in a spin
  const u32* meeting = nullptr;
  bool asleep, alive;
  u32 next_sleeper;           // for the same cell
  Waiting wait;
  std::vector<u32> stores;    // by this thread, possibly still in flight
};
struct Stream {               // the kernels of one PE, in order
  u32 pe = 0, launch = 0, alive = 0;
  std::deque<Launch> queue;
  std::vector<Block> blocks;
  std::vector<u32> runners;
};
struct Piece {                // of a store: up to 8 bytes that become visible together
  char* to;
  const char* from;           // a put that reads its source when it arrives; null where `bytes` holds the value
  u64 bytes;
  u32 size, runner, pe, launch, older;
  bool put, flying, held_back;
};

struct Random {
  u64 state;
  u64 next() {  // splitmix64
    u64 z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  u32 below(u64 n) { return u32(next() % n); }
  bool chance(u32 of_256) { return (next() & 255) < of_256; }
};

// Events that wait to be scheduled, in two classes: delayed ones are taken when there are no others.
struct Queue {
  std::deque<u32> of[2];
  void put(u32 one, bool held_back) { of[held_back].push_back(one); }
  u32 take(bool held_back, Order order, Random& draw) {
    std::deque<u32>& line = of[held_back];
    if (order == ANY) std::swap(line.back(), line[draw.below(line.size())]);
    const u32 one = order == FIRST_COME ? line.front() : line.back();
    if (order == FIRST_COME) line.pop_front();
    else line.pop_back();
    return one;
  }
};

struct World {
  Plan plan;
  Random draw;
  char* heap;
  std::size_t size;
  u32* newest;                 // for every 4 bytes: the last piece in flight to them, plus one
  u32* sleepers;               // for every 16 bytes: the first thread that waits for them, plus one
  u64* changed;                // for every 16 bytes: the event of the last arrival
  std::deque<Runner> runners;
  std::deque<Stream> streams;
  std::deque<Section> sections;  // one per library, which several streams may run
  std::vector<Piece> pieces;
  std::vector<u32> free_pieces, free_runners;
  Queue able, flying;
  u64 event = 0, progress = 0, clock = 1;
  bool given_up = false;
  Outcome outcome = DONE;
  std::vector<char> trapped;   // PEs
  std::vector<Waiting> story;
};

std::unique_ptr<World> w;
Fiber scheduler;

Runner& me() { return *static_cast<Runner*>(HOST(self)); }
bool in_heap(const void* p) { return p >= w->heap && p < w->heap + w->size; }
std::size_t place(const void* p) { return static_cast<const char*>(p) - w->heap; }
void suspend() { change(me().fiber, scheduler); }
void wake(Runner& one) {
  one.asleep = false;
  w->able.put(one.index, one.held_back);
}
void fail(Outcome why) {
  if (w->outcome == DONE) w->outcome = why;
}

}  // namespace
