// What a thread sees of memory: loads may return older values unless the thread is bound to see newer ones.
#pragma once

#include "world.h"

namespace {

Level apart(const Origin& store, const Runner& reader) {
  if (store.pe != reader.pe) return SYSTEM;
  if (store.who == reader.who) return SELF;
  if (store.who / 32 == reader.who / 32) return WARP;
  return store.who / WIDEST == reader.who / WIDEST ? BLOCK : DEVICE;
}
bool may_see(const Origin& store, const Runner& reader) { return store.at[apart(store, reader)] != NEVER; }
bool must_see(const Origin& store, const Runner& reader) {
  const Level level = apart(store, reader);
  return store.settled || store.at[level] <= reader.view[level];
}
bool has_seen(const Runner& reader, u32 at, u32 serial) {
  for (const Seen& one : reader.seen)
    if (one.at == at) return one.serial == serial;
  return false;
}
bool remembered(u32 number) { return number && w->arrived - number < KEPT; }
// Whatever arrived before the history begins is seen by all.
Time horizon() { return w->arrived < KEPT ? 0 : w->arrivals[(w->arrived + 1) % KEPT].at[SYSTEM]; }

// The thread has read this store. Coherence: it will not read an older one there.
void note(Runner& reader, const Origin& store, u32 at) {
  const Level level = apart(store, reader);
  reader.read = std::max(reader.read, store.at[level]);
  if (level < SYSTEM) reader.heard[level == DEVICE].raise(store.released);
  if (must_see(store, reader)) return;
  for (Seen& one : reader.seen)
    if (one.at == at) {
      one.serial = store.serial;
      return;
    }
  if (reader.seen.size() == 64) {  // rather than remember more, see everything
    reader.seen.clear();
    for (u32 i = WARP; i < LEVELS; i++) reader.view[i] = now();
  }
  reader.seen.push_back({at, store.serial});
}
// Does this load of what the store wrote return an older value?
bool passes_by(Runner& reader, const Origin& store, u32 at) {
  if (must_see(store, reader) || !w->draw.chance(w->plan.stale) || has_seen(reader, at, store.serial)) return false;
  return reader.outdated = true;
}
// The thread sees what became visible to threads in `scope` by `since`, and what those had seen when they released.
void see(Runner& reader, Level scope, Time since) {
  if (scope >= BLOCK) reader.view.raise(reader.heard[0]);
  if (scope >= DEVICE) reader.view.raise(reader.heard[1]);
  for (u32 level = WARP; level < LEVELS; level++)
    reader.view[level] = std::max({reader.view[level], level <= u32(scope) ? since : 0, horizon()});
}
// The thread starts, or goes on after a kernel that has completed: it sees what was visible then.
void see_all(Runner& reader, Time since) {
  for (u32 level = WARP; level < LEVELS; level++) reader.view[level] = std::max(reader.view[level], since);
  reader.released = reader.view;
}

}  // namespace
