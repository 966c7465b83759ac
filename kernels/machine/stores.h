// Stores in the emulator, from issue over the levels at which they become visible to their arrival in memory.
#pragma once

#include "views.h"

namespace {

bool flying(Ref one) {
  return one.serial && w->pieces[one.number].flying && w->pieces[one.number].serial == one.serial;
}
bool overlap(const Piece& piece, const char* p, u32 size) { return piece.to < p + size && p < piece.to + piece.size; }

void unlink(u32 number) {
  u32* link = &w->newest[place(w->pieces[number].to) / 8];
  while (*link != number + 1) link = &w->pieces[*link - 1].older;
  *link = w->pieces[number].older;
}
// The oldest store to these bytes that must arrive before `number`, or `number` itself.
u32 first_of(u32 number) {
  while (flying(w->pieces[number].after)) number = w->pieces[number].after.number;
  return number;
}
void touched(const void* p) {
  if (!in_heap(p)) return;
  const std::size_t at = place(p) / 16;
  w->changed[at] = w->progress = w->event;
  u32& sleeper = w->sleepers[at];
  while (sleeper) {
    Runner& one = w->runners[sleeper - 1];
    sleeper = one.next_sleeper;
    wake(one);
  }
}
// Replace bytes of memory, which every thread may see from now on.
void replace(char* to, const void* bytes, u32 size, const Origin& origin) {
  const u32 at = u32(place(to) / 8), number = ++w->arrived;
  Arrival& arrival = w->arrivals[number % KEPT];
  static_cast<Origin&>(arrival) = origin;
  for (u32 level = WARP; level < LEVELS; level++) arrival.at[level] = std::min(arrival.at[level], now());
  arrival.before = w->latest[at], arrival.first = u32(place(to) % 8), arrival.size = size;
  std::memcpy(&arrival.replaced, w->heap + 8 * std::size_t(at), 8);
  w->latest[at] = number;
  if (size == 8) std::memcpy(to, bytes, 8);
  else std::memcpy(to, bytes, size);
  touched(to);
}
void arrive(u32 number) {
  Piece& piece = w->pieces[number];
  unlink(number);
  piece.flying = false;
  w->free_pieces.push_back(number);
  replace(piece.to, piece.from ? static_cast<const void*>(piece.from) : &piece.bytes, piece.size, piece);
}
void arrive_in_order(u32 number) {
  while (w->pieces[number].flying && first_of(number) != number) arrive(first_of(number));
  if (w->pieces[number].flying) arrive(number);
}
// The newest of the older stores to these bytes that the thread may have seen: its next one there follows it. Others
// that do not precede this one anyway arrive now.
Ref before_next(Runner& self, const char* to, u32 size) {
  Ref newest = {}, last = {};
  std::vector<u32> others;
  for (u32 other = w->newest[place(to) / 8]; other; other = w->pieces[other - 1].older) {
    const Piece& piece = w->pieces[other - 1];
    if (piece.put || !overlap(piece, to, size) || !may_see(piece, self)) continue;
    const Ref one = {other - 1, piece.serial};
    if (!newest.serial) newest = last = one;
    else if (w->pieces[last.number].after.serial == one.serial) last = one;
    else others.push_back(one.number);
  }
  for (u32 number : others) arrive_in_order(number);
  return newest;
}
Origin origin_of(Runner& self, bool put) {
  Origin one = {++w->serial, put ? 0 : self.who, self.pe, {}, self.released, false};
  for (u32 level = WARP; level < LEVELS; level++) one.at[level] = NEVER;
  return one;
}
void send(char* to, const char* from, u64 bytes, u32 size, bool put) {
  Runner& self = me();
  if (!in_heap(to)) {
    fail(OUTSIDE);
    HOST(trap)();
  }
  const Ref after = put ? Ref{} : before_next(self, to, size);
  u32 number = u32(w->pieces.size());
  if (w->free_pieces.empty()) w->pieces.emplace_back();
  else number = w->free_pieces.back(), w->free_pieces.pop_back();
  u32& newest = w->newest[place(to) / 8];
  const u32 target = u32(place(to) / w->plan.stride);
  const bool held = w->plan.victim == A_LINK && self.pe == w->plan.pe && target == w->plan.number;
  Piece& piece = w->pieces[number];
  static_cast<Origin&>(piece) = origin_of(self, put);
  piece.to = to, piece.from = from, piece.bytes = bytes, piece.size = size, piece.older = newest;
  piece.after = after, piece.put = put, piece.flying = true, piece.held_back = held;
  newest = number + 1;
  if (!put) self.stores.push_back({number, piece.serial});
  w->progress = w->event;
  if (!held && w->draw.chance(w->plan.prompt)) arrive_in_order(number);
  else w->flying.put(number, held);
}

// ---- Fences and barriers: what makes stores visible ----

// The store has become visible to threads so far apart.
void show(u32 number, Level level) {
  if (level == SYSTEM) return arrive_in_order(number);
  for (u32 i = WARP; i <= u32(level); i++) w->pieces[number].at[i] = std::min(w->pieces[number].at[i], now());
}
// Show the stores in `list` that `self` may see (all, if null): those to the memory of their own device as far as
// `near`, others as far as `far`. Empties the list and returns what is still in flight.
std::vector<Ref> show_all(std::vector<Ref>& list, Runner* self, Level near, Level far) {
  std::vector<Ref> left;
  for (Ref one : list) {
    if (!flying(one)) continue;
    const Piece& piece = w->pieces[one.number];
    if (!self || may_see(piece, *self)) show(one.number, place(piece.to) / w->plan.stride == piece.pe ? near : far);
    if (flying(one)) left.push_back(one);
  }
  list.clear();
  return left;
}
void append(std::vector<Ref>& to, const std::vector<Ref>& more) { to.insert(to.end(), more.begin(), more.end()); }
// What the thread has read precedes what follows a fence or a barrier, for others as well.
void settle_seen(Runner& self) {
  for (const Seen& one : self.seen) {
    for (u32 number = w->newest[one.at / 2]; number; number = w->pieces[number - 1].older)
      w->pieces[number - 1].settled |= w->pieces[number - 1].serial == one.serial;
    for (u32 number = w->latest[one.at / 2]; remembered(number); number = w->arrivals[number % KEPT].before)
      w->arrivals[number % KEPT].settled |= w->arrivals[number % KEPT].serial == one.serial;
  }
  self.seen.clear();
}
// Show every store in flight that the thread may see: its own, and others by cumulativity.
void show_seen(Runner& self, Level near, Level far) {
  settle_seen(self);
  std::vector<Ref>&block = self.block_home().stores, &rank = w->ranks[self.pe].stores;
  std::vector<Ref> left = show_all(self.stores, &self, near, far);
  append(left, show_all(block, &self, near, far));
  rank = show_all(rank, &self, near, far);
  for (Ref one : left) (w->pieces[one.number].at[DEVICE] != NEVER ? rank : block).push_back(one);
}
// CUDA's fences are sequentially consistent: what one has shown, every later one sees.
void fence(Runner& self, Level scope) {
  show_seen(self, scope, scope);
  see(self, scope, now());
  self.released = self.view;
}

// ---- Loads ----

// A load of bytes that do not cross a multiple of 8: any value not older than what the thread is bound to see.
u64 look(Runner& self, const char* p, u32 size) {
  const u32 at = u32(place(p) / 8), key = u32(place(p) / 4), first = u32(place(p) % 8);
  for (u32 number = w->newest[at]; number; number = w->pieces[number - 1].older) {
    const Piece& piece = w->pieces[number - 1];
    if (piece.put || !overlap(piece, p, size) || !may_see(piece, self)) continue;
    if (passes_by(self, piece, key)) continue;
    if (piece.to > p || piece.to + piece.size < p + size) {  // holds a part of the bytes only
      arrive_in_order(number - 1);
      return look(self, p, size);
    }
    note(self, piece, key);
    return piece.bytes >> 8 * (p - piece.to);
  }
  u64 word;
  std::memcpy(&word, w->heap + 8 * std::size_t(at), 8);
  for (u32 number = w->latest[at]; remembered(number);) {
    const Arrival& one = w->arrivals[number % KEPT];
    if (one.first < first + size && first < one.first + one.size && !passes_by(self, one, key)) {
      note(self, one, key);
      break;
    }
    word = one.replaced, number = one.before;
  }
  return word >> 8 * first;
}
// Does anything but the value in memory matter to a load of these bytes?
bool has_history(const char* p) {
  const std::size_t at = place(p) / 8;
  return w->newest[at] || remembered(w->latest[at]);
}
// Stores that precede an atomic operation of the thread arrive, and it reads the newest value.
void settle(Runner& self, const char* p, u32 size) {
  if (const Ref last = before_next(self, p, size); flying(last)) arrive_in_order(last.number);
  const u32 newest = w->latest[place(p) / 8];
  if (remembered(newest)) note(self, w->arrivals[newest % KEPT], u32(place(p) / 4));
}

}  // namespace
