// Runs the kernels of many ranks in one process, in an order drawn from a seed: which thread runs next, and when each
// piece of a store becomes visible. `emulator.md` beside this file says what is modelled and what is not.
//
// An event is either one step of one thread, up to its next access to shared memory, or the arrival of one piece of a
// store. A thread that pauses for a cell sleeps until something arrives there. If no thread can run and no store is in
// flight, that is a deadlock, and every sleeping thread knows which rank it waits for.
#define HOST(name) coll_emu_##name
#include "races.h"

namespace {

// An access to shared memory: another thread may run first.
void point() {
  if (w->draw.chance(w->plan.stay)) return;
  w->able.put(me().index, me().held_back);
  suspend();
}

// ---- Events ----

void step(u32 index) {
  Runner& one = w->runners[index];
  if (!one.alive) return;
  HOST(self) = &one;
  one.launch->shared->enter(one.home);
  change(scheduler, one.fiber);
  if (overflowed(one.fiber)) fail(OVERFLOW);
  if (w->ranks[one.pe].trapped) return;
  if (!one.alive && one.home->alive == 0) end_block(one);
  if (w->room) fill_rank(one.pe);
}
void deliver(u32 number) {
  if (w->pieces[number].flying) arrive(first_of(number));
  if (w->pieces[number].flying) w->flying.put(number, w->pieces[number].held_back);  // an older one arrived instead
}
// One thread of each rank suffices: the first that gives up ends the kernel.
void wake_one_of_each_rank() {
  std::vector<char> woken(w->plan.pes);
  for (Runner& one : w->runners) {
    if (!one.alive || !one.asleep || one.meeting || woken[one.pe]) continue;
    woken[one.pe] = true;
    u32* link = &w->sleepers[one.wait.offset / 16];
    while (*link != one.index + 1) link = &w->runners[*link - 1].next_sleeper;
    *link = one.next_sleeper;
    wake(one);
  }
}
// No thread can run. Record which rank waits for which; then let time pass, so that the kernels' own time-outs expire.
void give_up(Outcome why) {
  fail(why);
  for (const Runner& one : w->runners)
    if (one.alive && !one.meeting) w->story.push_back(one.wait);
  w->given_up = true;
  w->progress = w->event;
  wake_one_of_each_rank();
}
// Returns false if there is no event.
bool event() {
  Queue &able = w->able, &flying = w->flying;
  const Plan& plan = w->plan;
  w->event++;
  bool run = !able.of[0].empty(), come = !flying.of[0].empty();
  // Threads that spin without pausing would starve the delayed ones; a GPU starves no thread forever.
  if (w->event - w->progress > 4 * w->runners.size() + 64 && w->event % 16 == 0) run = come = false;
  if (run && (!come || w->draw.chance(plan.run))) step(able.take(false, Order(plan.run_order), w->draw));
  else if (come) deliver(flying.take(false, Order(plan.arrival_order), w->draw));
  else if (!able.of[1].empty()) step(able.take(true, Order(plan.run_order), w->draw));
  else if (!flying.of[1].empty()) deliver(flying.take(true, Order(plan.arrival_order), w->draw));
  else if (!able.of[0].empty()) step(able.take(false, Order(plan.run_order), w->draw));
  else if (!flying.of[0].empty()) deliver(flying.take(false, Order(plan.arrival_order), w->draw));
  else return false;
  return true;
}
bool anybody() {
  for (const Stream& stream : w->streams)
    if (!stream.queue.empty() && !w->ranks[stream.pe].trapped) return true;
  return false;
}

}  // namespace

void live() {
  Runner& self = me();
  self.launch->kernel(self.launch->args.data());
  append(self.block_home().stores, self.stores);
  self.stores.clear();
  leave(self);
  self.alive = false;
  w->progress = w->event;
  for (;;) suspend();
}
void wait_until_moved(const u32& counter, u32 from) {
  while (counter == from) {
    me().meeting = &counter;
    me().asleep = true;
    suspend();
  }
}
void moved(const u32& counter) {
  Home& home = me().block_home();
  w->progress = w->event;
  if (&counter == &home.meetings) met(home);
  else home.warps_met[me().thread.x / 32] = now();
  wake_meeting(home, counter);
}

extern "C" {
Self* coll_emu_self;

void coll_emu_point() { point(); }
void coll_emu_touched(const void* p) { touched(p); }
void coll_emu_fence(u32 scope) {
  fence(me(), Level(scope));
  point();
}
void coll_emu_sync_block() { sync_block(me()); }
void coll_emu_sync_warp(u32 lanes) { sync_warp(me(), lanes); }
const u64* coll_emu_exchange(u32 lanes, u64 value) { return meet_warp(me(), lanes, value); }
void coll_emu_wait_for_previous() {
  wait_until_moved(me().launch->cleared, 0);
  see_all(me(), me().stream->completed);
}
void coll_emu_let_next_launch() {
  Runner& self = me();
  if (self.block_home().triggered) return;
  self.block_home().triggered = true;
  w->room |= ++self.launch->quiet == self.launch->grid;
}
// Time stands still until no thread can run.
u64 coll_emu_nanoseconds() {
  point();
  return w->clock += w->given_up ? 300000 : 0;
}
void coll_emu_trap() {  // ends the kernel and the rank
  fail(TRAPPED);
  w->ranks[me().pe].trapped = true;
  for (Runner& one : w->runners)
    if (one.pe == me().pe) one.alive = false;
  for (;;) suspend();
}
void coll_emu_store(void* to, const void* from, u32 bytes, u32 piece) {
  point();
  check_alignment(to, bytes, STORES);
  const u32 pieces = bytes / piece, begin = w->draw.below(pieces);
  for (u32 i = 0; i < pieces; i++) {
    const u32 at = (begin + i) % pieces * piece;
    u64 value = 0;
    std::memcpy(&value, static_cast<const char*>(from) + at, piece);
    send(static_cast<char*>(to) + at, nullptr, value, piece, false);
  }
}
void coll_emu_load(const void* from, void* to, u32 bytes, u32 piece) {
  point();
  check_alignment(from, bytes, LOADS);
  const u32 pieces = bytes / piece, begin = w->draw.below(pieces);
  const bool torn = pieces > 1 && w->draw.chance(w->plan.tear);
  for (u32 i = 0; i < pieces; i++) {
    if (torn && i) point();
    const u32 at = (begin + i) % pieces * piece;
    const char* source = static_cast<const char*>(from) + at;
    if (in_heap(source) && has_history(source)) {
      const u64 value = look(me(), source, piece);
      std::memcpy(static_cast<char*>(to) + at, &value, piece);
    } else {
      std::memcpy(static_cast<char*>(to) + at, source, piece);
    }
  }
}
// Of a rank's buffers, no order of events is tried: without a race, all give the same values.
void coll_emu_load_plain(const void* from, void* to, u32 bytes, u32 piece) {
  if (in_heap(from)) return coll_emu_load(from, to, bytes, piece);
  check_alignment(from, bytes, LOADS);
  check_race(from, bytes, LOADS);
  std::memcpy(to, from, bytes);
}
void coll_emu_store_plain(void* to, const void* from, u32 bytes, u32 piece) {
  if (in_heap(to)) return coll_emu_store(to, from, bytes, piece);
  check_alignment(to, bytes, STORES);
  check_race(to, bytes, STORES);
  std::memcpy(to, from, bytes);
}
void coll_emu_acquire(const void* from, void* to, u32 bytes) {
  me().read = 0;
  coll_emu_load(from, to, bytes, bytes);
  see(me(), SYSTEM, me().read);
}
void coll_emu_release(void* to, const void* from, u32 bytes) {
  show_seen(me(), SYSTEM, SYSTEM);
  me().released = me().view;
  coll_emu_store(to, from, bytes, bytes);
}
// An atomic operation replaces the newest value. Stores that precede it have arrived.
void coll_emu_begin_atomic(const void* p, u32 bytes) {
  point();
  if (in_heap(p)) settle(me(), static_cast<const char*>(p), bytes);
}
void coll_emu_end_atomic(void* p, const void* value, u32 bytes) {
  if (in_heap(p)) replace(static_cast<char*>(p), value, bytes, origin_of(me(), false));
  else std::memcpy(p, value, bytes);
}
bool coll_emu_copies() { return w->plan.copies; }
void* coll_emu_peer(const void* mine, int pe) {
  return w->heap + place(mine) + (std::size_t(pe) - me().pe) * w->plan.stride;
}
// In pieces of `piece` bytes, 8 at most.
void coll_emu_put_in(void* to, const void* from, std::size_t bytes, int pe, bool now, u32 piece) {
  point();
  show_seen(me(), SYSTEM, SELF);  // a put includes what this thread has stored or seen; it reads its own rank's memory
  char* target = static_cast<char*>(coll_emu_peer(to, pe));
  for (std::size_t at = 0; at < bytes; at += piece) {
    u64 value = 0;
    std::memcpy(&value, static_cast<const char*>(from) + at, piece);
    send(target + at, now ? nullptr : static_cast<const char*>(from) + at, value, piece, true);
  }
}
void coll_emu_put(void* to, const void* from, std::size_t bytes, int pe, bool now) {
  coll_emu_put_in(to, from, bytes, pe, now, 8);
}
void coll_emu_pause(const void* cell, u32 phase, u32 step, u32 partner, u64 epoch) {
  Runner& self = me();
  self.wait = {self.pe, self.block.x, self.thread.x, phase, step, partner, epoch, place(cell), 0, 0};
  std::memcpy(&self.wait.low, static_cast<const char*>(cell) - place(cell) % 16, 16);
  const std::size_t at = place(cell) / 16;
  if (w->changed[at] >= self.looked || self.outdated || w->given_up) {
    w->able.put(self.index, self.held_back);
  } else {
    self.next_sleeper = w->sleepers[at];
    w->sleepers[at] = self.index + 1;
    self.asleep = true;
  }
  suspend();
  self.looked = w->event;
  self.outdated = false;
}

// Zeroed memory for all PEs, and stacks for `threads` threads at once; null on failure. One world at a time.
char* coll_emu_open(const Plan* plan, u64 threads, u32 streams) {
  w = std::make_unique<World>();
  w->plan = *plan;
  w->draw = {plan->seed};
  w->size = plan->pes * plan->stride;
  char* memory = reserve(threads * STACK);
  w->heap = reserve(SHADOWED * w->size);
  if (!w->heap || !memory) return nullptr;
  w->newest = reinterpret_cast<u32*>(w->heap + w->size);
  w->latest = w->newest + w->size / 8;
  w->changed = reinterpret_cast<u64*>(w->latest + w->size / 8);
  w->sleepers = reinterpret_cast<u32*>(w->changed + w->size / 16);
  w->ranks.resize(plan->pes);
  for (u32 i = 0; i < threads; i++) {
    w->runners.emplace_back();
    w->runners[i].fiber.stack = memory + i * STACK;
    w->runners[i].index = i;
    w->runners[i].alive = false;
    w->free_runners.push_back(u32(threads) - 1 - i);
  }
  for (u32 i = 0; i < plan->pes * streams; i++) {
    w->streams.emplace_back();
    w->streams.back().pe = i / streams, w->streams.back().index = i;
  }
  return w->heap;
}
// Append a kernel to a stream; `stream` counts through all PEs, one PE after another.
void coll_emu_launch(
    u32 stream, Kernel kernel, const char* args, u64 bytes, u32 grid, u32 width, char* shared, char* end) {
  Section* section = nullptr;
  for (Section& one : w->sections)
    if (one.begin == shared) section = &one;
  if (!section) section = &w->sections.emplace_back(Section{shared, end});
  Stream& one = w->streams[stream];
  const u32 first = one.queue.empty();
  one.queue.push_back({kernel, std::vector<char>(args, args + bytes), grid, width, section, one.launched++, first});
}
// Run everything that was launched; returns the outcome.
int coll_emu_run() {
  shadow = std::make_unique<Shadow>();  // the host's accesses lie between runs
  for (u32 pe = 0; pe < w->plan.pes; pe++) fill_rank(pe);
  while (anybody()) {
    const bool more = event(), long_since = w->event - w->progress > w->plan.patience || w->event > w->plan.most;
    if (more && !long_since) continue;
    if (w->given_up) break;
    give_up(more ? LIVELOCK : DEADLOCK);
  }
  return w->outcome;
}
u64 coll_emu_events() { return w->event; }
void coll_emu_fault(Fault* out) { *out = w->fault; }
int coll_emu_trapped(u32 pe) { return w->ranks[pe].trapped; }
// The last other PE that has stored to the 16 bytes at an offset of the heap; -1 where none is remembered.
int coll_emu_sender(u64 offset) {
  const u32 owner = u32(offset / w->plan.stride);
  for (u64 at = offset / 8; at < offset / 8 + 2; at++)
    for (u32 number = w->latest[at]; remembered(number); number = w->arrivals[number % KEPT].before)
      if (w->arrivals[number % KEPT].pe != owner) return int(w->arrivals[number % KEPT].pe);
  return -1;
}
// The threads that waited at a deadlock or livelock, else what every thread last waited for; returns their number.
u64 coll_emu_story(Waiting* out, u64 most) {
  if (!w->given_up) {
    w->story.clear();
    for (const Runner& one : w->runners) w->story.push_back(one.wait);
  }
  for (u64 i = 0; i < most && i < w->story.size(); i++) out[i] = w->story[i];
  return w->story.size();
}
void coll_emu_close() {
  if (!w) return;
  munmap(w->heap, SHADOWED * w->size);
  if (!w->runners.empty()) munmap(w->runners[0].fiber.stack, w->runners.size() * STACK);
  w.reset(), shadow.reset();
}
}
