// Waiting: a spin that lasts too long reports which rank waited for which, and ends the kernel.
#pragma once

enum Phase : u32 { SCATTERING = 1, STEP, FOLDING_IN, FOLDING_OUT, GATHERING, EXCHANGE, REWIND };  // named in abi.py
struct Where { Phase phase; u32 step, partner; };
struct Missing { const void* cell; Where where; u64 epoch; };  // what a thread waits for

// Never continue with stale data. Arguments are passed by value: passed by address, they would be in local memory.
OUTLINE void give_up(State* state, Stuck* stuck, int place, Where w, u64 epoch) {
  if (atomicExch(&state->claimed, 1) == 0) {
    volatile Stuck* s = stuck;
    s->place = place, s->phase = w.phase, s->step = w.step, s->partner = w.partner, s->epoch = epoch;
    __threadfence_system();
    s->set = 1;
    __threadfence_system();
  } else {
    for (const u64 begin = nanoseconds(); nanoseconds() - begin < 1000000;) {}  // until the report is written
  }
  __trap();
}

INLINE bool too_long(const Args& a, u64& begin) {
  const u64 now = nanoseconds();
  if (begin == 0) begin = now;
  return now - begin > a.patience;
}
