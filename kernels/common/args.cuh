// What the host passes, and how the scratch is laid out: the twin of collbench/kernels/abi.py.
#pragma once

struct Stuck {  // in host memory that the device can write: which rank waited for which when a spin gave up
  u32 set, place, phase, step, partner, unused;
  u64 epoch;
};

struct State {  // in device memory, one per communicator
  u64 ticks;    // TICKS for every completed call
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
  u64* marks;              // COLL_MARKS per block, where phases are timed
  u64 patience;            // nanoseconds after which a spin gives up
  int place, unused;       // this rank
  char* scratch[PLACES];   // every rank's scratch as mapped here; null where only a put reaches it
  int pe[PLACES];          // every rank's PE number in NVSHMEM
};
static_assert(sizeof(Args) == COLL_ARGS_BYTES, "struct Args and its twin in Python differ");

// The argument of a kernel.
#if COLL_HIDDEN
struct Given : Args {
  const char* weight;  // COLL_HIDDEN elements
  char* residual;      // `count` elements
};
static_assert(sizeof(Given) == sizeof(Args) + 2 * sizeof(char*), "struct Given and its twin in Python differ");
#elif COLL_PARTS
struct Given : Args {  // `count` elements of every rank's part
  u64 part;            // elements from one rank's part of the message to the next
  int rank[PLACES];    // the rank at each place, which is the number of its part

  // Where the part of the rank at `place` begins in a buffer that holds all of them.
  template <class Byte> INLINE Byte* at(Byte* buffer, int place) const { return buffer + rank[place] * part * WIDTH; }
};
static_assert(sizeof(Given) >= sizeof(Args) + sizeof(u64) + sizeof(int) * PLACES, "Given has its own fields");
#else
using Given = Args;
#endif

// The scratch: gates, then two halves of flagged cells, two of Lamport cells, and two of an outbox, in which kernels
// pack what they put: nobody waits for anything there, so it may hold any bits.
constexpr u64 GATES_AT = 0, GATES_BYTES = 4096;
constexpr u64 FLAGGED_AT = GATES_AT + GATES_BYTES, LAMPORT_AT = FLAGGED_AT + 2 * COLL_FLAGGED_HALF;
constexpr u64 OUTBOX_AT = LAMPORT_AT + 2 * COLL_LAMPORT_HALF;
constexpr u64 HALF = FLAGGED ? COLL_FLAGGED_HALF : COLL_LAMPORT_HALF;
static_assert((2 * PLACES + 2) * sizeof(u64) <= GATES_BYTES, "more ranks than gates");
