// What a kernel needs: the launch's arguments, elements, cells, waiting, epochs.
//
// Everything that touches the memory model stands here, and what is not plain C++ in machine/, so that any C++ compiler
// can read a kernel's own file: the same sources run on GPUs, on processors and in the emulator. The host compiles a
// kernel for one element type, operation and layout:
//   COLL_DTYPE, COLL_OP     element type and operation, by name
//   COLL_NODES, COLL_LOCAL  nodes, and ranks on each
//   COLL_FLAGGED            1: flagged cells; 0: Lamport cells
//   COLL_THREADS            threads of a block, exactly
//   COLL_TILE               cells of a slot that lie side by side
//
// Ranks are addressed by place: place = node * LOCAL + index on the node.
//
// Why two parities of scratch suffice, for every kernel and for calls of different kernels and sizes in any order:
// call e writes into the half of the scratch that has the parity of e. Take a store of rank A into rank B in call e.
// A's call e-1 is over, so every element of its result is there, and each depends on B's input, which B sent in its
// call e-1, which began when B's call e-2 was over (kernels of one stream do not overlap). So B has read, and where it
// must has cleared, everything that call e-2 left in that half. A call on no elements would break this: the host makes
// none. Cells carry their own validity, so there is no other order between stores that anything relies on.
#pragma once

#if defined(__CUDACC__)
#include "machine/gpu.cuh"
#elif COLL_EMULATED
#include "machine/emulated.h"
#else
#include "machine/cpu.h"
#endif

enum Dtype { float32, float16, bfloat16, int32 };
enum class Op { sum, min, max };

constexpr Dtype DTYPE = COLL_DTYPE;
constexpr Op OP = Op::COLL_OP;
constexpr int floor_log2(int n) { return n < 2 ? 0 : 1 + floor_log2(n / 2); }
constexpr int NODES = COLL_NODES, LOCAL = COLL_LOCAL, PLACES = NODES * LOCAL;

// ---- What the host passes. Its twin is collbench/symmetric.py; the sizes are compared when a kernel is compiled. ----

struct Stuck {  // in host memory that the device can write: who waited for whom when a spin was given up
  u32 set, place, phase, step, partner, unused;
  u64 epoch;
};

struct State {  // in device memory, one a communicator
  u64 ticks;    // TICKS for every finished call
  u64 era;      // upper half of the epoch for which the flagged scratch was last cleared
  u32 claimed;  // set by the one thread that fills Stuck
  u32 unused;
};

struct Args {
  const char* in;          // any device memory, aligned to one element
  char* out;               // the same, or the same buffer
  u64 count;               // elements, at least 1
  State* state;
  Stuck* stuck;
  u64* marks;              // MARKS times a block, where phases are timed
  u64 patience;            // nanoseconds that one spin may last
  int place, unused;       // this rank
  char* scratch[PLACES];   // every rank's scratch as seen from here; null where only a put reaches it
  int pe[PLACES];          // NVSHMEM's number of every rank
};
static_assert(sizeof(Args) == COLL_ARGS_BYTES, "struct Args and its twin in Python differ");

// ---- Elements: 32-bit words hold one or two; sums are formed in Wide and rounded once ----

template <bool B, class T, class F> struct Choose { using type = T; };
template <class T, class F> struct Choose<false, T, F> { using type = F; };

constexpr bool WHOLE = DTYPE == int32;                              // whole numbers: no rounding, no NaN
constexpr int WIDTH = DTYPE == float16 || DTYPE == bfloat16 ? 2 : 4;  // bytes of an element
constexpr int PER_WORD = 4 / WIDTH;
using Wide = Choose<WHOLE, int, float>::type;
using Element = Choose<WIDTH == 2, u16, u32>::type;  // its bits

INLINE Wide widen(u32 word, int i) {
  if constexpr (DTYPE == bfloat16) return __uint_as_float(i ? word & 0xffff0000u : word << 16);
  else if constexpr (DTYPE == float16) {
    return half_to_float(u16(i ? word >> 16 : word));
  } else if constexpr (DTYPE == float32) return __uint_as_float(word);
  else return int(word);
}
template <class W> INLINE u32 narrow(const W* v) {  // round to nearest, ties to even; a template, since not every
  u32 word;                                        // branch compiles for every W
  if constexpr (DTYPE == bfloat16) word = to_bfloats(v[0], v[1]);
  else if constexpr (DTYPE == float16) word = to_halves(v[0], v[1]);
  else if constexpr (DTYPE == float32) word = __float_as_uint(v[0]);
  else word = u32(v[0]);
  return word;
}
// The same bits whichever operand comes first, zeros and NaNs included: two partners add in opposite orders. Minimum
// and maximum are those of IEEE 754-2019: a NaN goes through, and -0 is below +0. Every NaN comes out as the same one.
INLINE int combine(int a, int b) {
  if constexpr (OP == Op::sum) return int(u32(a) + u32(b));
  else if constexpr (OP == Op::min) return a < b ? a : b;
  else return a > b ? a : b;
}
INLINE float combine(float a, float b) {
  if constexpr (OP == Op::min) return least_of(a, b);
  else if constexpr (OP == Op::max) return largest_of(a, b);
  else return sum_of(a, b);
}

// ---- Cells: 16 bytes that tell by themselves whether they have arrived ----
// Flagged: two times 4 bytes of data and 4 bytes of flag (NCCL's LL); the flag is the epoch, both are checked. Half of
// the bytes are data. Lamport: 16 bytes of data; a word that has not arrived holds EMPTY, a NaN that no sender writes,
// and whoever has read a word sets it back. Needs wholeness of 4 bytes only, but a type with a bit pattern to spare.

constexpr bool FLAGGED = COLL_FLAGGED;
constexpr int WORDS = FLAGGED ? 2 : 4;
constexpr int CELL = 16, PAYLOAD = 4 * WORDS;
constexpr u32 EMPTY = 0xffffffffu, OTHER_NAN = 0x7fffffffu;  // as two 16-bit floats these are NaNs as well
static_assert(FLAGGED || !WHOLE, "whole numbers have no bit pattern to spare: they need flagged cells");

struct alignas(PAYLOAD) Words { u32 w[WORDS]; };

INLINE u32 spare(u32 word) { return word == EMPTY ? OTHER_NAN : word; }
INLINE Cell pack(Words v, u32 flag) {
  if constexpr (FLAGGED) return {v.w[0], flag, v.w[1], flag};
  else return {spare(v.w[0]), spare(v.w[1]), spare(v.w[2]), spare(v.w[3])};
}
template <class W = Words> INLINE W unpack(Cell c) {  // a template, as narrow is
  if constexpr (FLAGGED) return {c.x, c.z};
  else return {c.x, c.y, c.z, c.w};
}
INLINE bool arrived(Cell c, u32 flag) {
  if constexpr (FLAGGED) return (c.y == flag) & (c.w == flag);
  else return (c.x != EMPTY) & (c.y != EMPTY) & (c.z != EMPTY) & (c.w != EMPTY);
}

// ---- Sums of cells ----

struct Sum { Wide v[WORDS * PER_WORD]; };

INLINE Sum begin_sum(Words x) {
  Sum s;
  UNROLL for (int i = 0; i < WORDS * PER_WORD; i++) s.v[i] = widen(x.w[i / PER_WORD], i % PER_WORD);
  return s;
}
INLINE void add(Sum& s, Words x) {
  UNROLL for (int i = 0; i < WORDS * PER_WORD; i++) s.v[i] = combine(s.v[i], widen(x.w[i / PER_WORD], i % PER_WORD));
}
INLINE Words round_sum(const Sum& s) {
  Words x;
  UNROLL for (int i = 0; i < WORDS; i++) x.w[i] = narrow(s.v + i * PER_WORD);
  return x;
}
// One addition of two rounded partial sums, rounded again: both partners of an exchange get the same bits.
INLINE Words add_pair(Words mine, Words theirs) {
  Sum s = begin_sum(mine);
  add(s, theirs);
  return round_sum(s);
}

// ---- The message: cell c of it is bytes c * PAYLOAD and on; the last may be partly filled ----

// Element by element; out of line, since code that is not run must not crowd the instruction cache. Shifts, since an
// indexed array would lie in memory.
OUTLINE Words load_elements(const char* p, int held) {
  u64 half[2] = {0, 0};
#pragma unroll 1
  for (int i = held - 1; i >= 0; i--) {
    half[1] = half[1] << (8 * WIDTH) | half[0] >> (64 - 8 * WIDTH);
    half[0] = half[0] << (8 * WIDTH) | reinterpret_cast<const Element*>(p)[i];
  }
  Words x;
  UNROLL for (int i = 0; i < WORDS; i++) x.w[i] = u32(half[i / 2] >> (32 * (i % 2)));
  return x;
}
OUTLINE void store_elements(char* p, int held, Words x) {
  u64 half[2] = {0, 0};
  UNROLL for (int i = 0; i < WORDS; i++) half[i / 2] |= u64(x.w[i]) << (32 * (i % 2));
#pragma unroll 1
  for (int i = 0; i < held; i++) {
    reinterpret_cast<Element*>(p)[i] = Element(half[0]);
    half[0] = half[0] >> (8 * WIDTH) | half[1] << (64 - 8 * WIDTH);
    half[1] >>= 8 * WIDTH;
  }
}

struct Message {
  const char* in;
  char* out;
  u32 bytes;  // the scratch holds less than 4 GiB, and so does what one launch reduces
  bool aligned;  // whole cells can be moved with one instruction

  INLINE Message(const Args& a) : in(a.in), out(a.out), bytes(u32(a.count) * WIDTH) {
    aligned = ((u64(in) | u64(out)) & (PAYLOAD - 1)) == 0;
  }
  INLINE u32 cells() const { return (bytes - 1) / PAYLOAD + 1; }
  INLINE bool whole(u32 c) const { return aligned && (c + 1) * PAYLOAD <= bytes; }
  INLINE int held(u32 c) const {  // elements
    return bytes - c * PAYLOAD < PAYLOAD ? int(bytes - c * PAYLOAD) / WIDTH : PAYLOAD / WIDTH;
  }

  INLINE Words load(u32 c) const {
    const char* p = in + c * PAYLOAD;
    return whole(c) ? *reinterpret_cast<const Words*>(p) : load_elements(p, held(c));
  }
  INLINE void store(u32 c, Words x) const {
    char* p = out + c * PAYLOAD;
    if (whole(c)) *reinterpret_cast<Words*>(p) = x;
    else store_elements(p, held(c), x);
  }
};

// ---- One call: its epoch, its half of the scratch, waiting, and its end ----

constexpr u64 TICKS = 4096;  // a call adds so many, whatever its grid: the epoch moves on with the last block's share
constexpr u64 HALF = FLAGGED ? COLL_FLAGGED_HALF : COLL_LAMPORT_HALF;     // bytes of one parity
constexpr u32 TILE = COLL_TILE;  // cells of a slot that lie side by side
constexpr u64 GATES = 0, FLAGGED_AT = 4096, LAMPORT_AT = FLAGGED_AT + 2 * COLL_FLAGGED_HALF;
static_assert((2 * PLACES + 2) * sizeof(u64) <= FLAGGED_AT, "more ranks than gates");

// Where phases are timed: the time at which the last warp of this block came here.
INLINE void mark(const Args& a, int i) {
#if COLL_PHASES
  if (threadIdx.x % 32 != 0) return;
  u64* p = a.marks + blockIdx.x * COLL_MARKS + i;
  raise_word(p, nanoseconds());
#endif
}

// For the report of a spin that was given up; the host has the names.
enum Phase : u32 { SCATTERING = 1, STEP, FOLDING_IN, FOLDING_OUT, GATHERING, ONE_HOP, REWIND };
struct Where { Phase phase; u32 step, partner; };
struct Missing { const void* cell; Where where; u64 epoch; };  // what a thread waits for

// Never go on with stale data: say who waited for whom, and end the kernel. By value: what is passed by address would
// have to live in memory.
OUTLINE void give_up(State* state, Stuck* stuck, int place, Where w, u64 epoch) {
  if (atomicExch(&state->claimed, 1) == 0) {
    volatile Stuck* s = stuck;
    s->place = place, s->phase = w.phase, s->step = w.step, s->partner = w.partner, s->epoch = epoch;
    __threadfence_system();
    s->set = 1;
    __threadfence_system();
  } else {
    for (const u64 begin = nanoseconds(); nanoseconds() - begin < 1000000;) {}  // let the other one write
  }
  __trap();
}

INLINE bool too_long(const Args& a, u64& begin) {
  const u64 now = nanoseconds();
  if (begin == 0) begin = now;
  return now - begin > a.patience;
}

constexpr u32 NONE = 0xffffffffu;  // the offset of no cell

struct Call {
  const Args& a;
  u64 epoch, half;
  char* own;  // this rank's half

  INLINE u32 flag() const { return u32(epoch); }

  // Where cell c of slot `index` lies in a half. The slots are interleaved by tiles, so that what one thread touches
  // lies close together: one address and small offsets.
  template <int SLOTS> static INLINE u32 offset(int index, u32 c) {
    return c / TILE * (SLOTS * TILE * CELL) + c % TILE * CELL + index * (TILE * CELL);
  }

  // Give the rank at `place` a cell at `offset` of its half.
  INLINE void send(int place, u32 offset, Words x) const {
    store_cell(a.scratch[place] + half + offset, pack(x, flag()));
  }

  // Wait for K cells of this rank's scratch at once; `at(k)` is the offset of one or NONE, `from(k)` whom it is from.
  template <int K, class At, class From> INLINE void receive(Words (&got)[K], At at, From from) const {
    u64 begin = 0;
    for (u32 tries = 1;; tries++) {
      Cell c[K];
      bool all = true;
      UNROLL for (int k = 0; k < K; k++) {
        c[k] = pack(Words{}, flag());  // what is not waited for counts as arrived
        if (at(k) != NONE) c[k] = load_cell(own + at(k));
      }
      UNROLL for (int k = 0; k < K; k++) all &= arrived(c[k], flag());
      if (all) {
        UNROLL for (int k = 0; k < K; k++) {
          got[k] = unpack(c[k]);
          if (!FLAGGED && at(k) != NONE) store_cell(own + at(k), {EMPTY, EMPTY, EMPTY, EMPTY});
        }
        return;
      }
      const auto missing = [&](auto found, auto what) {  // what(k) of the last cell that is not there
        UNROLL for (int k = 0; k < K; k++) if (at(k) != NONE && !arrived(c[k], flag())) found = what(k);
        return found;
      };
      pause([&] { return missing(Missing{}, [&](int k) { return Missing{own + at(k), from(k), epoch}; }); });
      if (tries % 1024 == 0 && too_long(a, begin)) give_up(a.state, a.stuck, a.place, missing(Where{}, from), epoch);
    }
  }
  INLINE Words receive_one(u32 offset, Where from) const {
    Words got[1];
    receive(got, [=](int) { return offset; }, [=](int) { return from; });
    return got[0];
  }
};

// ---- When 32 bits of epoch are used up: the flags in the flagged half could be mistaken for those of 2^32 calls ago.
// So the first call of a new era meets all ranks, clears, and meets them again; once in 2^32 calls. An era begins with
// epoch 2: a flag of 0 is a cleared cell, and 2 keeps the parities alternating.

// The two meetings have gates of their own: where a gate is put over a network, that of the first may come after that
// of the second.
OUTLINE void meet(const Args& a, u64 epoch, u64 value) {
  u64* const mine = reinterpret_cast<u64*>(a.scratch[a.place] + GATES);
  const u32 first = value % 2 * PLACES;
  for (int q = threadIdx.x; q < PLACES; q += blockDim.x) {
    if (a.scratch[q]) store_word(reinterpret_cast<u64*>(a.scratch[q] + GATES) + first + a.place, value);
#if COLL_USES_PUT
    else {
      u64* const source = mine + 2 * PLACES + value % 2;
      store_word(source, value);
      nvshmem_putmem(mine + first + a.place, source, sizeof(u64), a.pe[q]);
    }
#endif
    u64 begin = 0;
    const u64* const gate = mine + first + q;
    while (load_word(gate) < value) {
      pause([&] { return Missing{gate, {REWIND, 0, u32(q)}, epoch}; });
      if (too_long(a, begin)) give_up(a.state, a.stuck, a.place, {REWIND, 0, u32(q)}, epoch);
    }
  }
  __syncthreads();
}

OUTLINE void rewind(const Args& a, u64 epoch) {
  if (blockIdx.x == 0) {
    meet(a, epoch, 2 * epoch);
    char* flagged = a.scratch[a.place] + FLAGGED_AT;
    constexpr u64 cells = 2 * COLL_FLAGGED_HALF / CELL;
    for (u64 i = threadIdx.x; i < cells; i += blockDim.x) store_cell(flagged + i * CELL, {0, 0, 0, 0});
    __threadfence_system();
    __syncthreads();
    meet(a, epoch, 2 * epoch + 1);
    if (threadIdx.x == 0) store_word(&a.state->era, epoch >> 32);
  } else if (threadIdx.x == 0) {
    u64 begin = 0;
    while (load_word(&a.state->era) < epoch >> 32) {
      pause([&] { return Missing{&a.state->era, {REWIND, 1, u32(a.place)}, epoch}; });
      if (too_long(a, begin)) give_up(a.state, a.stuck, a.place, {REWIND, 1, u32(a.place)}, epoch);
    }
  }
  __syncthreads();
}

INLINE Call begin_call(const Args& a) {
  wait_for_kernel_before();
  let_next_kernel_settle();
  const u64 epoch = load_word(&a.state->ticks) / TICKS;
  const u64 half = (FLAGGED ? FLAGGED_AT : LAMPORT_AT) + (epoch & 1) * HALF;
  const Call call{a, epoch, half, a.scratch[a.place] + half};
  if (u32(epoch) == 2 && epoch != 2) rewind(a, epoch);
  mark(a, 0);
  return call;
}

// Blocks that start late still read this call's epoch: the quotient changes with the last block's share only, and a
// block adds its share when all its threads have read. The next kernel sees the sum, since this one is over by then.
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

#if COLL_USES_PUT
// `cells` cells from offset `from` of this rank's half to offset `to` of that at `place`; whole blocks call it.
// No fence and no signal: the cells tell by themselves when they are there. The source may be written again two calls
// later: by then the target has read them.
INLINE void put_cells(const Call& call, int place, u32 to, u32 from, u32 cells) {
  __syncthreads();  // all of the chunk is packed. The address is this rank's: NVSHMEM finds the other's copy of it
  if (cells) nvshmemx_putmem_nbi_block(call.own + to, call.own + from, cells * CELL, call.a.pe[place]);
}
#endif
