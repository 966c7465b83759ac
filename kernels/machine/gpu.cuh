// The machine layer for GPUs: PTX and NVSHMEM. Its twins for processors are cpu.h and emulated.h.
#pragma once

#include <cuda/std/cstdint>

#if COLL_USES_PUT
#include "non_abi/nvshmem_build_options.h"
#include "device/nvshmem_defines.h"
#include "device/nvshmemx_defines.h"
#endif

using u16 = cuda::std::uint16_t;
using u32 = cuda::std::uint32_t;
using u64 = cuda::std::uint64_t;
using i64 = cuda::std::int64_t;

// One block per multiprocessor suffices, so a thread may use all registers; otherwise the compiler would spill a few to
// make room for a second block.
#define KERNEL(a) \
  extern "C" __global__ void __launch_bounds__(COLL_THREADS, 1) COLL_NAME(const __grid_constant__ Given a)
#define INLINE __device__ __forceinline__
#define OUTLINE __device__ __noinline__
#define UNROLL _Pragma("unroll")

struct alignas(16) Cell { u32 x, y, z, w; };

// Volatile: one 16-byte transaction, not cached in L1, not merged with another. The PTX model guarantees atomicity of
// each 4 bytes; NVLink and L2 keep aligned 8 bytes whole (NCCL's LL and NVSHMEM rely on that, too). No memory clobber:
// cells are accessed in no other way, and nothing else is ordered with them.
INLINE Cell load_cell(const char* p) {
  Cell c;
  asm volatile("ld.volatile.global.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(c.x), "=r"(c.y), "=r"(c.z), "=r"(c.w) : "l"(p));
  return c;
}
INLINE void store_cell(char* p, Cell c) {
  asm volatile("st.volatile.global.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(p), "r"(c.x), "r"(c.y), "r"(c.z), "r"(c.w));
}
INLINE u64 load_word(const u64* p) {
  u64 v;
  asm volatile("ld.volatile.global.u64 %0, [%1];" : "=l"(v) : "l"(p) : "memory");
  return v;
}
INLINE void store_word(u64* p, u64 v) { asm volatile("st.volatile.global.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory"); }
INLINE void add_word(u64* p, u64 v) {
  asm volatile("red.relaxed.gpu.global.add.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory");
}
INLINE void raise_word(u64* p, u64 v) {
  asm volatile("red.relaxed.gpu.global.max.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory");
}
// Plain accesses: what no other thread writes, or what fences and barriers order.
template <class T> INLINE T load_plain(const T* p) { return *p; }
template <class T> INLINE void store_plain(T* p, T v) { *p = v; }

// A thread of any rank that acquires what a release stored sees all that the releasing thread had stored or seen.
INLINE u64 load_acquire_system(const u64* p) {
  u64 v;
  asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(v) : "l"(p) : "memory");
  return v;
}
INLINE u32 load_acquire_system(const u32* p) {
  u32 v;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
INLINE void store_release_system(u64* p, u64 v) {
  asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory");
}
INLINE void store_release_system(u32* p, u32 v) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}
INLINE u64 nanoseconds() {
  u64 t;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
  return t;
}

// Programmatic dependent launch: the host may let this kernel's blocks launch while the previous kernel still runs. The
// wait returns when that kernel has completed and its stores are visible, so the guarantees of stream order hold; after
// an ordinary launch it does nothing.
INLINE void wait_for_previous_kernel() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
INLINE void let_next_kernel_launch() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// True in one thread of a block, once all of them have called it.
INLINE bool last_of_block() {
  __syncthreads();
  return threadIdx.x == 0;
}

// Called in every iteration of a spin: a processor runs other threads there, a GPU does so by itself. `missing()` is
// what the thread waits for, which is not used here.
template <class Missing> INLINE void pause(Missing) {}
enum : unsigned { LOOKS = 1024 };  // iterations of a spin between two readings of the clock

// 16-bit floats: round to nearest, ties to even; the first of two is in the lower half.
INLINE float half_to_float(u16 h) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
  return f;
}
INLINE u32 to_halves(float first, float second) {
  u32 word;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
}
INLINE u32 to_bfloats(float first, float second) {
  u32 word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
}

INLINE double double_of(u64 bits) { return __longlong_as_double(i64(bits)); }
INLINE u64 bits_of(double d) { return u64(__double_as_longlong(d)); }

// Every NaN result has the same bits. Minimum and maximum are those of IEEE 754-2019.
INLINE float sum_of(float a, float b) { return a + b; }
INLINE float least_of(float a, float b) {
  asm("min.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
  return a;
}
INLINE float largest_of(float a, float b) {
  asm("max.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
  return a;
}

// IEEE 754, round to nearest: a product is never contracted with a sum that follows it.
INLINE float product_of(float a, float b) { return __fmul_rn(a, b); }
INLINE float quotient_of(float a, float b) { return __fdiv_rn(a, b); }
INLINE float reciprocal_of(float a) { return __frcp_rn(a); }
INLINE float root_of(float a) { return __fsqrt_rn(a); }
