// Marks: when each block ended each phase of the kernel's header, where phases are timed.
#pragma once

// The phases of the header, with - as _; the host numbers them (abi.py) and knows them by the same numbers. "doubling"
// is one mark per step: Mark::doubling + k.
enum class Mark : int { COLL_PHASES };
constexpr Mark LAUNCHED = Mark(0);  // the start of the kernel, which begin_call marks
constexpr Mark operator+(Mark phase, int step) { return Mark(int(phase) + step); }

// The phase ends here: record the time at which the last warp of this block arrives.
INLINE void mark(const Args& a, Mark phase) {
#if COLL_MARKS
  if (threadIdx.x % 32 != 0) return;
  u64* p = a.marks + blockIdx.x * COLL_MARKS + int(phase);
  raise_word(p, nanoseconds());
#endif
}
