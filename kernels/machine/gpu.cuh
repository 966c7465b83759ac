// What kernels need of a GPU and what is not plain C++: PTX, NVSHMEM. Its twins for processors: cpu.h and emulated.h.
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

// One block a multiprocessor is enough, so a thread may have all the registers that there are: the compiler would rather
// keep a few values in memory and make room for a second block.
#define KERNEL(a) \
  extern "C" __global__ void __launch_bounds__(COLL_THREADS, 1) COLL_NAME(const __grid_constant__ Args a)
#define INLINE __device__ __forceinline__
#define OUTLINE __device__ __noinline__
#define UNROLL _Pragma("unroll")

struct alignas(16) Cell { u32 x, y, z, w; };

// Volatile: one 16-byte transaction, never kept in L1, never merged with another. The PTX model promises wholeness for
// each 4 bytes; NVLink and L2 keep aligned 8 bytes whole (NCCL's LL and NVSHMEM stand on that too). No clobber: cells
// are never touched in another way, and nothing else needs to be ordered with them.
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
INLINE u64 nanoseconds() {
  u64 t;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
  return t;
}

// Programmatic dependent launch: the host may let this kernel's blocks settle on the device while the kernel before it
// still runs. The wait returns when that one is over and its stores are visible, so whatever holds for kernels one
// after another still holds; it does nothing for an ordinary launch.
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

// True in one thread of a block, when all of them have called it.
INLINE bool last_of_block() {
  __syncthreads();
  return threadIdx.x == 0;
}

// Called between two looks at what has not arrived: processors let other threads run, a GPU does that by itself.
// `missing()` says what is waited for; nobody asks here.
template <class Missing> INLINE void pause(Missing) {}

// 16-bit floats: rounded to nearest, ties to even; the first of two in the lower half.
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

// Every NaN that comes out is the same one. Minimum and maximum are those of IEEE 754-2019.
INLINE float sum_of(float a, float b) { return a + b; }
INLINE float least_of(float a, float b) {
  asm("min.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
  return a;
}
INLINE float largest_of(float a, float b) {
  asm("max.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
  return a;
}
