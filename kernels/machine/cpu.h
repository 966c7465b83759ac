// The machine layer for ranks that share memory: cells are atomic words, puts are copies.
#pragma once

#define HOST(name) coll_cpu_##name
#include "cuda.h"
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

extern "C" {
void coll_cpu_yield(const void* cell);
bool coll_cpu_last();
void coll_cpu_put(void* to, const void* from, std::size_t bytes, int pe);
void* coll_cpu_peer(const void* mine, int pe);
}

struct alignas(16) Cell { u32 x, y, z, w; };

// Relaxed atomics of 8 bytes: a cell arrives in whole halves, as on a GPU. The runtime fences where a kernel begins and
// ends.
INLINE u64 load_word(const u64* p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
INLINE void store_word(u64* p, u64 v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
INLINE void add_word(u64* p, u64 v) { __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
INLINE void raise_word(u64* p, u64 v) { if (load_word(p) < v) store_word(p, v); }  // of this rank's threads only
INLINE Cell load_cell(const char* p) {
  const u64 low = load_word(reinterpret_cast<const u64*>(p)), high = load_word(reinterpret_cast<const u64*>(p) + 1);
  return {u32(low), u32(low >> 32), u32(high), u32(high >> 32)};
}
INLINE void store_cell(char* p, Cell c) {
  store_word(reinterpret_cast<u64*>(p), c.x | u64(c.y) << 32);
  store_word(reinterpret_cast<u64*>(p) + 1, c.z | u64(c.w) << 32);
}

// Plain accesses: what no other thread writes, or what fences and barriers order.
template <class T> INLINE T load_plain(const T* p) { return *p; }
template <class T> INLINE void store_plain(T* p, T v) { *p = v; }

INLINE u64 load_acquire_system(const u64* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
INLINE u32 load_acquire_system(const u32* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
INLINE void store_release_system(u64* p, u64 v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
INLINE void store_release_system(u32* p, u32 v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

INLINE void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
INLINE void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
INLINE void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
template <class T, class V> INLINE T atomicAdd(T* p, V v) { return __atomic_fetch_add(p, T(v), __ATOMIC_RELAXED); }
template <class T, class V> INLINE T atomicExch(T* p, V v) { return __atomic_exchange_n(p, T(v), __ATOMIC_RELAXED); }
template <class T, class V> INLINE T atomicCAS(T* p, T old, V v) {
  __atomic_compare_exchange_n(p, &old, T(v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return old;
}
INLINE void wait_for_previous_kernel() {}  // a rank runs one kernel at a time
INLINE void let_next_kernel_launch() {}
INLINE bool last_of_block() { return coll_cpu_last(); }  // no barrier: other threads have nothing left to do
template <class Missing> INLINE void pause(Missing missing) { coll_cpu_yield(missing().cell); }
enum : unsigned { LOOKS = 16 };  // between two readings of the clock: on a busy machine each look costs a time slice

INLINE void* nvshmem_ptr(const void* mine, int pe) { return coll_cpu_peer(mine, pe); }
INLINE void nvshmem_putmem(void* to, const void* from, std::size_t bytes, int pe) { coll_cpu_put(to, from, bytes, pe); }
INLINE void nvshmemx_putmem_nbi_block(void* to, const void* from, std::size_t bytes, int pe) {
  if (threadIdx.x == 0) coll_cpu_put(to, from, bytes, pe);
}
