// A call: its epoch, its half of the scratch, sending and receiving cells there, its start and its end.
#pragma once

constexpr u32 TILE = COLL_TILE;      // contiguous cells of a slot
constexpr u32 NONE = 0xffffffffu;    // the offset of no cell

static_assert(!ESCAPES || 2 * COLL_FLAGGED_HALF >= COLL_LAMPORT_HALF, "the notes on Lamport cells need more room");

// Inline: a call would spill the registers of its caller.
INLINE u32 wait_for_note(const Args& a, const u64* note, Where from, u64 epoch) {
  u64 begin = 0;
  for (u32 tries = 1;; tries++) {
    const u64 found = load_word(note);
    if (found >> 32 == u32(epoch)) return u32(found);
    pause([&] { return Missing{note, from, epoch}; });
    if (tries % LOOKS == 0 && too_long(a, begin)) give_up(a.state, a.stuck, a.place, from, epoch);
  }
}

struct Call {
  const Args& a;
  u64 epoch, half;
  char* own;  // this rank's half

  INLINE u32 flag() const { return u32(epoch); }

  // The offset of cell c of slot `index` in a half. Slots are interleaved by tiles, so the cells that one thread
  // accesses are close together: one address and small offsets.
  template <int SLOTS> static INLINE u32 offset(int index, u32 c) {
    return c / TILE * (SLOTS * TILE * CELL) + c % TILE * CELL + index * (TILE * CELL);
  }

  // Store a cell at `offset` in the half of the rank at `place`.
  INLINE void send(int place, u32 offset, Words x) const {
    store_cell(a.scratch[place] + half + offset, pack(x, flag()));
    if constexpr (ESCAPES) {
      if (escaped(pack(x, flag()))) store_word(note_at(a.scratch[place], offset), empties(x) | u64(flag()) << 32);
    }
  }
  // The note on the Lamport cell at `offset`, in the flagged half of this call.
  INLINE u64* note_at(char* scratch, u32 offset) const {
    return reinterpret_cast<u64*>(scratch + FLAGGED_AT + (epoch & 1) * COLL_FLAGGED_HALF + offset / 2);
  }

  // Wait for K cells of this rank's half at once; `at(k)` is the offset of one, or NONE, and `from(k)` names its sender
  // and the phase.
  template <int K, class At, class From> INLINE void receive(Words (&got)[K], At at, From from) const {
    u64 begin = 0;
    for (u32 tries = 1;; tries++) {
      Cell c[K];
      bool all = true;
      UNROLL for (int k = 0; k < K; k++) {
        c[k] = pack(Words{}, flag());  // counts as arrived where nothing is to be received
        if (at(k) != NONE) c[k] = load_cell(own + at(k));
      }
      UNROLL for (int k = 0; k < K; k++) all &= arrived(c[k], flag());
      if (all) {
        if constexpr (ESCAPES) read_notes(c, at, from);
        UNROLL for (int k = 0; k < K; k++) {
          got[k] = unpack(c[k]);
          if (!FLAGGED && at(k) != NONE) store_cell(own + at(k), {EMPTY, EMPTY, EMPTY, EMPTY});
        }
        return;
      }
      const auto missing = [&](auto found, auto what) {  // what(k) of the last cell that has not arrived
        UNROLL for (int k = 0; k < K; k++) if (at(k) != NONE && !arrived(c[k], flag())) found = what(k);
        return found;
      };
      pause([&] { return missing(Missing{}, [&](int k) { return Missing{own + at(k), from(k), epoch}; }); });
      if (tries % LOOKS == 0 && too_long(a, begin)) give_up(a.state, a.stuck, a.place, missing(Where{}, from), epoch);
    }
  }
  // Complete the cells that are escaped: their senders have sent the notes, or are about to. Hardly any are, so the
  // loop is not unrolled; it compares indices, since an array indexed at run time would be in local memory.
  template <int K, class At, class From> INLINE void read_notes(Cell (&c)[K], At at, From from) const {
    bool any = false;
    UNROLL for (int k = 0; k < K; k++) any |= escaped(c[k]);
    if (!any) return;
#pragma unroll 1
    for (int i = 0; i < K; i++) {
      bool noted = false;
      UNROLL for (int k = 0; k < K; k++) noted |= k == i && escaped(c[k]);
      if (!noted) continue;
      const u32 note = wait_for_note(a, note_at(a.scratch[a.place], at(i)), from(i), epoch);
      UNROLL for (int k = 0; k < K; k++) if (k == i) c[k] = complete(c[k], note);
    }
  }
  INLINE Words receive_one(u32 offset, Where from) const {
    Words got[1];
    receive(got, [=](int) { return offset; }, [=](int) { return from; });
    return got[0];
  }
};

// The first thing that a kernel does.
INLINE Call begin_call(const Args& a) {
  wait_for_previous_kernel();
  let_next_kernel_launch();
  const u64 epoch = load_word(&a.state->ticks) / TICKS;
  const u64 half = (FLAGGED ? FLAGGED_AT : LAMPORT_AT) + (epoch & 1) * HALF;
  const Call call{a, epoch, half, a.scratch[a.place] + half};
  if (u32(epoch) == 2 && epoch != 2) rewind(a, epoch);
  mark(a, LAUNCHED);
  return call;
}

// The last thing that a kernel does, in every thread. A block adds its share to the ticks when all its threads have
// read the epoch. Blocks that start late still read this call's epoch, since the quotient changes with the last block's
// share only; the next kernel reads the full sum.
INLINE void end_call(const Call& call) {
  if (!last_of_block()) return;
  u64* ticks = &call.a.state->ticks;
  const u64 share = blockIdx.x ? 1 : TICKS - gridDim.x + 1;  // a grid has TICKS blocks at most
  if (u32(call.epoch + 1) != 0) {
    add_word(ticks, share);
    return;
  }
  const u64 now = atomicAdd(reinterpret_cast<unsigned long long*>(ticks), share) + share;
  if (now % TICKS == 0) add_word(ticks, 2 * TICKS);  // the last block: on to epoch 2 of the next era
}
