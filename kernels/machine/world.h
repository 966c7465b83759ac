// The state of the emulator: schedule, ranks, threads, memory, and the stores in flight.
#pragma once

#include "host.h"

#include "threads.h"

#include <algorithm>
#include <deque>
#include <memory>

namespace {

using Kernel = void (*)(const void*);
using Time = u32;                    // the number of an event
constexpr Time NEVER = 0xffffffffu;
constexpr std::size_t SHADOWED = 3;  // bytes per byte of memory: itself and its metadata
constexpr u32 WIDEST = 1024;         // threads of a block
constexpr u32 KEPT = 1 << 14;        // arrivals whose predecessors a load may still return

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
  u32 stale;                // of 256 loads that may return an older value, how many do
  u32 copies;               // 1: puts are copies by their threads, over NVLink; 0: a proxy's, over a network
  u32 room;                 // threads of a stream that are resident at once
  u32 resident;             // blocks of a rank that are resident at once; 0: no bound
  u64 patience, most;       // a livelock: so many events without progress, or in total
};
struct Waiting { u32 pe, block, thread, phase, step, partner; u64 epoch, offset, low, high; };
enum Outcome : int { DONE, DEADLOCK, LIVELOCK, TRAPPED, OVERFLOW, OUTSIDE, RACE, MISALIGNED };
enum Does : u32 { NOTHING, LOADS, STORES };
struct Culprit { u32 launch, block, thread, does; };
struct Fault { u32 pe, stream; u64 address, bytes; Culprit one, other; };  // an access, and what it races with

// ---- Threads and what they know of memory ----

// How far apart two threads are; the scope of a fence; and how far a store has become visible.
enum Level : u32 { SELF, WARP, BLOCK, DEVICE, SYSTEM, LEVELS };

struct Times {
  Time of[LEVELS] = {};
  Time& operator[](u32 level) { return of[level]; }
  Time operator[](u32 level) const { return of[level]; }
  void raise(const Times& other) {
    for (u32 i = 0; i < LEVELS; i++) of[i] = std::max(of[i], other.of[i]);
  }
};
struct Origin {               // of a store
  u32 serial, who, pe;        // the thread, unique to a launch: threads of a block differ in the lowest ten bits
  Times at;                   // when it became visible to threads so far apart; NEVER, before it has
  Times released;             // what the thread was bound to see when it last released
  bool settled;               // a thread that has seen it has passed a fence or a barrier: nobody sees older values
};
struct Ref { u32 number, serial; };  // of a piece, until it arrives
struct Seen { u32 at, serial; };     // the last store that a thread read at a place

struct Named { u32 launch, number; };  // a block
struct Home : Block {
  u32 id = 0, number = 0;     // among all blocks, and in its grid
  bool triggered = false;     // the next kernel need not wait for it to start
  std::vector<u32> runners;
  std::vector<Ref> stores;    // in flight, visible to more than their thread, or of threads that have ended
  Times known;                // what its threads are bound to see by its barriers
  std::vector<Times> warps_know;
  Time met = 0;               // its last barrier
  std::vector<Time> warps_met;
};
struct Launch {
  Kernel kernel;
  std::vector<char> args;
  u32 grid, width;
  Section* shared;
  u32 number, cleared;        // in its stream; 1: the kernel before has completed
  u32 started = 0, quiet = 0, ended = 0;  // blocks: started, triggered or ended, ended
  std::deque<Home> blocks = {};
};
struct Stream {               // the kernels of one communicator on one PE, in order
  u32 pe = 0, index = 0, launched = 0, used = 0;  // `used`: resident threads
  Time completed = 0;         // when the last kernel did
  std::deque<Launch> queue = {};
};
struct Runner : Thread {
  Stream* stream;
  Launch* launch;
  u32 pe, index, who, held_back;
  u64 looked;                 // the event of its last load in a spin
  const u32* meeting = nullptr;
  bool asleep, alive;
  bool outdated;              // a load since then could have returned a newer value
  u32 next_sleeper;           // for the same cell
  Waiting wait;
  std::vector<Ref> stores;    // by this thread, in flight
  Times view;                 // it sees every store that became visible by then to threads so far apart
  Time read;                  // when the latest store that it has read became visible to it
  Times heard[2];             // what was released by stores of its own block, and of its own device, that it has read
  Times released;             // its view at its last fence
  std::vector<Seen> seen;
  Home& block_home() { return *static_cast<Home*>(home); }
};
struct Rank {
  u32 resident = 0;           // blocks
  std::vector<Ref> stores;    // in flight, visible on this device
  bool trapped = false;
};

// ---- Memory ----

struct Piece : Origin {       // of a store in flight: up to 8 bytes that become visible together
  char* to;
  const char* from;           // a put that reads its source when it arrives; null where `bytes` holds the value
  u64 bytes;
  u32 size, older;
  Ref after;                  // an older one to the same bytes, which arrives first
  bool put, flying, held_back;
};
struct Arrival : Origin {     // the history of memory
  u64 replaced;               // the 8 bytes before
  u32 before;                 // the number of the arrival before it there
  u32 first, size;            // bytes of the 8
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
  u32* newest;                 // for every 8 bytes: the last piece in flight to them, plus one
  u32* latest;                 // for every 8 bytes: the number of the last arrival
  u32* sleepers;               // for every 16 bytes: the first thread that waits for them, plus one
  u64* changed;                // for every 16 bytes: the event of the last arrival
  std::vector<Arrival> arrivals = std::vector<Arrival>(KEPT);
  u32 arrived = 0, serial = 0;
  std::deque<Runner> runners;
  std::deque<Stream> streams;
  std::deque<Section> sections;  // one per library, which several streams may run
  std::vector<Rank> ranks;
  std::vector<Piece> pieces;
  std::vector<u32> free_pieces, free_runners;
  Queue able, flying;
  u64 event = 0, progress = 0, clock = 1;
  bool given_up = false, room = false;  // `room`: blocks may be able to start
  Outcome outcome = DONE;
  std::vector<Waiting> story;
  std::vector<Named> names = std::vector<Named>(1);  // of blocks by id
  Fault fault = {};
};

std::unique_ptr<World> w;
Fiber scheduler;

Runner& me() { return *static_cast<Runner*>(HOST(self)); }
bool in_heap(const void* p) { return p >= w->heap && p < w->heap + w->size; }
std::size_t place(const void* p) { return static_cast<const char*>(p) - w->heap; }
Time now() { return Time(w->event); }
void suspend() { change(me().fiber, scheduler); }
void wake(Runner& one) {
  one.asleep = false;
  w->able.put(one.index, one.held_back);
}
void fail(Outcome why) {
  if (w->outcome == DONE) w->outcome = why;
}

}  // namespace
