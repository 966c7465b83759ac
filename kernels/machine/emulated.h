// The machine layer for the emulator: every access to shared memory is an event that its scheduler orders.
#pragma once

#define HOST(name) coll_emu_##name
#include "cuda.h"
#define UNROLL

extern "C" {
void coll_emu_load(const void* p, void* to, u32 bytes, u32 piece);
void coll_emu_store(void* p, const void* from, u32 bytes, u32 piece);
void coll_emu_fence(u32 scope);
void coll_emu_load_plain(const void* p, void* to, u32 bytes, u32 piece);
void coll_emu_store_plain(void* p, const void* from, u32 bytes, u32 piece);
void coll_emu_acquire(const void* p, void* to, u32 bytes);
void coll_emu_release(void* p, const void* from, u32 bytes);
void coll_emu_begin_atomic(const void* p, u32 bytes);
void coll_emu_end_atomic(void* p, const void* value, u32 bytes);
void coll_emu_wait_for_previous();
void coll_emu_let_next_launch();
void coll_emu_pause(const void* cell, u32 phase, u32 step, u32 partner, u64 epoch);
void coll_emu_put(void* to, const void* from, std::size_t bytes, int pe, bool now);
void coll_emu_put_in(void* to, const void* from, std::size_t bytes, int pe, bool now, u32 piece);
bool coll_emu_copies();
void* coll_emu_peer(const void* mine, int pe);
}

struct alignas(16) Cell { u32 x, y, z, w; };

// Bytes of a cell that become visible together. Flagged cells rely on 8; for Lamport cells nothing beyond the 4 of the
// PTX model is assumed.
constexpr u32 PIECE = COLL_FLAGGED ? 8 : 4;
constexpr u32 NETWORK_PIECE = COLL_FLAGGED ? 8 : 4;  // of a put, the same

INLINE Cell load_cell(const char* p) {
  Cell c;
  coll_emu_load(p, &c, sizeof(c), PIECE);
  return c;
}
INLINE void store_cell(char* p, Cell c) { coll_emu_store(p, &c, sizeof(c), PIECE); }
INLINE u64 load_word(const u64* p) {
  u64 v;
  coll_emu_load(p, &v, sizeof(v), sizeof(v));
  return v;
}
INLINE void store_word(u64* p, u64 v) { coll_emu_store(p, &v, sizeof(v), sizeof(v)); }

template <class T> INLINE T load_acquire_system(const T* p) {
  T v;
  coll_emu_acquire(p, &v, sizeof(T));
  return v;
}
INLINE void store_release_system(u64* p, u64 v) { coll_emu_release(p, &v, sizeof(v)); }
INLINE void store_release_system(u32* p, u32 v) { coll_emu_release(p, &v, sizeof(v)); }

// Plain accesses. Vectors may be split into their elements.
template <class T> INLINE T load_plain(const T* p) {
  T v;
  coll_emu_load_plain(p, &v, sizeof(T), sizeof(T) > 8 ? 4 : sizeof(T));
  return v;
}
template <class T> INLINE void store_plain(T* p, T v) {
  coll_emu_store_plain(p, &v, sizeof(T), sizeof(T) > 8 ? 4 : sizeof(T));
}

// Atomic operations act immediately, at the memory.
template <class T, class Change> INLINE T at_once(T* p, Change change) {
  coll_emu_begin_atomic(p, sizeof(T));
  const T old = *p, now = change(old);
  if (now != old) coll_emu_end_atomic(p, &now, sizeof(T));
  return old;
}
template <class T, class V> INLINE T atomicAdd(T* p, V v) { return at_once(p, [=](T old) { return T(old + T(v)); }); }
template <class T, class V> INLINE T atomicExch(T* p, V v) { return at_once(p, [=](T) { return T(v); }); }
template <class T, class V> INLINE T atomicCAS(T* p, T was, V v) {
  return at_once(p, [=](T old) { return old == was ? T(v) : old; });
}
INLINE void add_word(u64* p, u64 v) { atomicAdd(p, v); }
INLINE void raise_word(u64* p, u64 v) { if (*p < v) *p = v; }

enum Scope : u32 { OF_BLOCK = 2, OF_DEVICE, OF_SYSTEM };  // emulator.cpp's levels
INLINE void __threadfence_block() { coll_emu_fence(OF_BLOCK); }
INLINE void __threadfence() { coll_emu_fence(OF_DEVICE); }
INLINE void __threadfence_system() { coll_emu_fence(OF_SYSTEM); }
INLINE void wait_for_previous_kernel() { coll_emu_wait_for_previous(); }
INLINE void let_next_kernel_launch() { coll_emu_let_next_launch(); }
INLINE bool last_of_block() {
  __syncthreads();
  return threadIdx.x == 0;
}
template <class Missing> INLINE void pause(Missing missing) {
  const auto one = missing();
  coll_emu_pause(one.cell, one.where.phase, one.where.step, one.where.partner, one.epoch);
}
enum : unsigned { LOOKS = 1024 };  // iterations of a spin between two readings of the clock

INLINE void* nvshmem_ptr(const void* mine, int pe) { return coll_emu_peer(mine, pe); }
// A share of a put, by one thread: over NVLink it loads and stores, over a network it asks a proxy to.
INLINE void put_share(char* to, const char* from, std::size_t bytes, int pe, bool now) {
  if (!coll_emu_copies()) return coll_emu_put_in(to, from, bytes, pe, now, NETWORK_PIECE);
  u64 words[2];
  const u32 piece = bytes < PIECE ? u32(bytes) : PIECE;
  coll_emu_load(from, words, u32(bytes), piece);
  coll_emu_store(coll_emu_peer(to, pe), words, u32(bytes), piece);
}
// From share `first` on, every `step`-th share of 16 bytes, or of 8 where the addresses ask for it.
INLINE void put_shares(void* to, const void* from, std::size_t bytes, int pe, bool now, u32 first, u32 step) {
  const std::size_t share = (u64(to) | u64(from)) % 16 ? 8 : 16;
  for (std::size_t at = share * first; at < bytes; at += share * step)
    put_share(static_cast<char*>(to) + at, static_cast<const char*>(from) + at,
        bytes - at < share ? bytes - at : share, pe, now);
}
INLINE void nvshmem_putmem(void* to, const void* from, std::size_t bytes, int pe) {
  put_shares(to, from, bytes, pe, true, 0, 1);
}
// Every thread of the block copies its shares when it arrives here; a proxy reads its source then or later. NVSHMEM
// decides which share; here it is never one that the thread itself wrote.
INLINE void nvshmemx_putmem_nbi_block(void* to, const void* from, std::size_t bytes, int pe) {
  put_shares(to, from, bytes, pe, false, (threadIdx.x + 1) % blockDim.x, blockDim.x);
}
