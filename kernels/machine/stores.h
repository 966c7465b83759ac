// Stores in the emulator, from issue to global visibility.
#pragma once

#include "world.h"

namespace {

bool ordered(const Piece& a, const Piece& b) {  // a, issued before b to the same address, must arrive first
  return !a.put && !b.put && a.pe == b.pe && (a.runner == b.runner || a.launch != b.launch);
}
void unlink(u32 number) {
  u32* link = &w->newest[place(w->pieces[number].to) / 4];
  while (*link != number + 1) link = &w->pieces[*link - 1].older;
  *link = w->pieces[number].older;
}
// The oldest store to this address that must arrive before `number`, or `number` itself.
u32 first_of(u32 number) {
  u32 first = number;
  for (u32 other = w->pieces[number].older; other; other = w->pieces[other - 1].older)
    if (ordered(w->pieces[other - 1], w->pieces[number])) first = other - 1;
  return first;
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
void arrive(u32 number) {
  Piece& piece = w->pieces[number];
  unlink(number);
  piece.flying = false;
  const void* bytes = piece.from ? static_cast<const void*>(piece.from) : &piece.bytes;
  if (piece.size == 8) std::memcpy(piece.to, bytes, 8);
  else std::memcpy(piece.to, bytes, piece.size);
  w->free_pieces.push_back(number);
  touched(piece.to);
}
void send(char* to, const char* from, u64 bytes, u32 size, bool put) {
  Runner& self = me();
  if (!in_heap(to)) {
    fail(OUTSIDE);
    HOST(trap)();
  }
  u32 number = u32(w->pieces.size());
  if (w->free_pieces.empty()) w->pieces.emplace_back();
  else number = w->free_pieces.back(), w->free_pieces.pop_back();
  u32& newest = w->newest[place(to) / 4];
  const u32 target = u32(place(to) / w->plan.stride);
  const bool held = w->plan.victim == A_LINK && self.pe == w->plan.pe && target == w->plan.number;
  w->pieces[number] = {to, from, bytes, size, self.index, self.pe, self.stream->launch, newest, put, true, held};
  newest = number + 1;
  self.stores.push_back(number);
  w->progress = w->event;
  if (!held && w->draw.chance(w->plan.prompt)) {
    while (w->pieces[number].flying && first_of(number) != number) arrive(first_of(number));
    arrive(number);
  } else {
    w->flying.put(number, held);
  }
}
// Make this thread's stores visible: all, or only those to its own device.
void flush(Runner& one, bool everywhere) {
  std::vector<u32> left;
  for (u32 number : one.stores) {
    const Piece& piece = w->pieces[number];
    if (!piece.flying || piece.runner != one.index) continue;  // has arrived; the entry may be in use again
    const bool here = place(piece.to) / w->plan.stride == one.pe;
    if (piece.put || !(everywhere || here)) left.push_back(number);
    else while (w->pieces[number].flying) arrive(first_of(number));
  }
  one.stores = left;
}

}  // namespace
