// Plain accesses to a rank's own buffers: two of different threads, one a store, must be ordered by fences or barriers.
#pragma once

#include "streams.h"

#include <unordered_map>

namespace {

struct Access { u32 who; Time at; };
struct Accesses { Access wrote, read[2]; };  // of two bytes: the last store, and the last loads of two threads
constexpr std::size_t PAGE = 4096;

struct Shadow {
  std::unordered_map<u64, std::vector<Accesses>> pages;
  u64 last = ~u64(0);
  Accesses* found = nullptr;
  Accesses* of(u64 address) {
    if (address / PAGE != last) {
      last = address / PAGE;
      std::vector<Accesses>& page = pages[last];
      if (page.empty()) page.resize(PAGE / 2);
      found = page.data();
    }
    return found + address % PAGE / 2;
  }
};
std::unique_ptr<Shadow> shadow;

bool precedes(const Access& one, const Runner& self) {
  if (one.who == 0) return true;
  const Origin origin = {0, one.who, self.pe, {}, {}, false};
  const Level level = apart(origin, self);
  return level == SELF || one.at <= self.view[level];
}
Culprit culprit(u32 who, Does does) {
  const Named& block = w->names[who / WIDEST];
  return {block.launch, block.number, who % WIDEST, does};
}
void report(Outcome why, const void* p, u32 bytes, Does does, Culprit other) {
  if (w->outcome != DONE) return;
  fail(why);
  w->fault = {me().pe, u32(me().stream->index), u64(p), bytes, culprit(me().who, does), other};
}
// A GPU faults where the address of an access is no multiple of its size; a processor may not.
void check_alignment(const void* p, u32 bytes, Does does) {
  if (u64(p) % bytes == 0) return;
  report(MISALIGNED, p, bytes, does, {});
  HOST(trap)();
}
void check_race(const void* p, u32 bytes, Does does) {
  Runner& self = me();
  const Access now_ = {self.who, Time(++w->event)};
  for (u32 i = 0; i < bytes; i += 2) {
    Accesses& here = *shadow->of(u64(p) + i);
    if (!precedes(here.wrote, self)) report(RACE, p, bytes, does, culprit(here.wrote.who, STORES));
    if (does == LOADS) {
      if (here.read[0].who != self.who) here.read[1] = here.read[0];
      here.read[0] = now_;
      continue;
    }
    for (const Access& one : here.read)
      if (!precedes(one, self)) report(RACE, p, bytes, does, culprit(one.who, LOADS));
    here = {now_, {}};
  }
}

}  // namespace
