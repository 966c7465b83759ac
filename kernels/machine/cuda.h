// The part of CUDA that kernels use, for a C++ compiler; cpu.h and emulated.h add access to memory.
#pragma once

#include "host.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __noinline__ __attribute__((noinline))
// The runtime keeps a copy of this section per block and swaps it when it switches blocks.
#define __shared__ static __attribute__((section("coll_shared")))
#define KERNEL(a) extern "C" void COLL_NAME(const Given& a)
#define INLINE inline __attribute__((always_inline))
#define OUTLINE static __attribute__((noinline))

#define threadIdx (HOST(self)->thread)
#define blockIdx (HOST(self)->block)
#define blockDim (HOST(self)->threads)
#define gridDim (HOST(self)->blocks)
constexpr int warpSize = 32;

// Bounds of this kernel's shared memory, if it has any.
extern "C" {
extern char __start_coll_shared[] __attribute__((weak)), __stop_coll_shared[] __attribute__((weak));
char *coll_shared_begin = __start_coll_shared, *coll_shared_end = __stop_coll_shared;
}

INLINE u64 nanoseconds() { return HOST(nanoseconds)(); }
INLINE void __syncthreads() { HOST(sync_block)(); }
[[noreturn]] INLINE void __trap() { HOST(trap)(); }

// ---- Bits and 16-bit floats; every NaN result of a sum or a rounding is 0x7fff or 0x7fffffff, as on a GPU ----

template <class To, class From> INLINE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To to;
  __builtin_memcpy(&to, &from, sizeof(To));
  return to;
}
INLINE float __uint_as_float(u32 bits) { return bits_as<float>(bits); }
INLINE u32 __float_as_uint(float f) { return bits_as<u32>(f); }
INLINE double double_of(u64 bits) { return bits_as<double>(bits); }
INLINE u64 bits_of(double d) { return bits_as<u64>(d); }

INLINE float half_to_float(u16 h) {
  const u32 sign = u32(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 31) return bits_as<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent == 0) return bits_as<float>(sign | bits_as<u32>(float(fraction) * 0x1p-24f));
  return bits_as<float>(sign | (exponent + 112) << 23 | fraction << 13);
}
INLINE u32 to_half(float f) {
  const u32 x = bits_as<u32>(f), sign = x >> 16 & 0x8000, size = x & 0x7fffffffu;
  if (size > 0x7f800000u) return 0x7fff;
  if (size >= 0x477ff000u) return sign | 0x7c00;  // 65520 and more round to infinity
  if (size < 0x38800000u)  // denormal: adding 1/2 leaves multiples of 2^-24, correctly rounded
    return sign | (bits_as<u32>(bits_as<float>(size) + 0.5f) - bits_as<u32>(0.5f));
  return sign | (size + 0xfffu + (size >> 13 & 1) - 0x38000000u) >> 13;
}
INLINE u32 to_bfloat(float f) {
  const u32 x = bits_as<u32>(f);
  return (x & 0x7fffffffu) > 0x7f800000u ? 0x7fff : (x + 0x7fffu + (x >> 16 & 1)) >> 16;
}
INLINE u32 to_halves(float first, float second) { return to_half(first) | to_half(second) << 16; }
INLINE u32 to_bfloats(float first, float second) { return to_bfloat(first) | to_bfloat(second) << 16; }

INLINE float one_nan(float f) { return f == f ? f : bits_as<float>(0x7fffffffu); }
INLINE float sum_of(float a, float b) { return one_nan(a + b); }
INLINE float least_of(float a, float b) {
  if (a != a || b != b) return bits_as<float>(0x7fffffffu);
  return a < b || (a == b && (bits_as<u32>(a) >> 31)) ? a : b;
}
INLINE float largest_of(float a, float b) {
  if (a != a || b != b) return bits_as<float>(0x7fffffffu);
  return a > b || (a == b && !(bits_as<u32>(a) >> 31)) ? a : b;
}

INLINE float product_of(float a, float b) { return a * b; }
INLINE float quotient_of(float a, float b) { return a / b; }
INLINE float reciprocal_of(float a) { return 1 / a; }
INLINE float root_of(float a) { return __builtin_sqrtf(a); }

// ---- Warps ----

INLINE u32 lane() { return HOST(self)->thread.x % 32; }
template <class T> INLINE T lane_value(u32 lanes, T value, u32 from) {
  static_assert(sizeof(T) <= sizeof(u64), "a shuffle moves 8 bytes at most");
  u64 word = 0;
  __builtin_memcpy(&word, &value, sizeof(T));
  word = HOST(exchange)(lanes, word)[from % 32];
  __builtin_memcpy(&value, &word, sizeof(T));
  return value;
}
INLINE u32 segment(u32 width) { return lane() / width * width; }
template <class T> INLINE T __shfl_sync(u32 lanes, T value, int from, int width = 32) {
  return lane_value(lanes, value, segment(width) + u32(from) % width);
}
template <class T> INLINE T __shfl_xor_sync(u32 lanes, T value, int mask, int width = 32) {
  const u32 from = lane() ^ u32(mask);
  return lane_value(lanes, value, from < segment(width) + width ? from : lane());
}
template <class T> INLINE T __shfl_up_sync(u32 lanes, T value, u32 by, int width = 32) {
  return lane_value(lanes, value, lane() % width < by ? lane() : lane() - by);
}
template <class T> INLINE T __shfl_down_sync(u32 lanes, T value, u32 by, int width = 32) {
  return lane_value(lanes, value, lane() % width + by >= u32(width) ? lane() : lane() + by);
}
INLINE u32 __ballot_sync(u32 lanes, int yes) {
  const u64* votes = HOST(exchange)(lanes, yes != 0);
  u32 found = 0;
  for (u32 i = 0; i < 32; i++) found |= (lanes >> i & 1) && votes[i] ? 1u << i : 0;
  return found;
}
INLINE int __any_sync(u32 lanes, int yes) { return __ballot_sync(lanes, yes) != 0; }
INLINE int __all_sync(u32 lanes, int yes) { return __ballot_sync(lanes, !yes) == 0; }
INLINE void __syncwarp(u32 lanes = 0xffffffffu) { HOST(sync_warp)(lanes); }
