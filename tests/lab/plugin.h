// What NVSHMEM's host library and its transports share: plugin ABI 3, that of NVSHMEM 3.4.5.
//
// No wheel contains the header, so it is rewritten here and its offsets are asserted. Other versions are refused: ABI 7
// (NVSHMEM 3.8.0) moves the operations and changes arguments of connect and fence, and its header is not public.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <device_host_transport/nvshmem_common_transport.h>  // of NVSHMEM's wheel: numbers of operations and atomics

constexpr int ABI = 3, CONNECTED = 2;
enum { CPU_WRITE = 1 << 4, CPU_READ = 1 << 5, CPU_ATOMICS = 1 << 6 };
struct Verb { nvshmemi_op_t desc; int is_nbi, is_stream; void* stream; };
struct Memory { void* ptr; uint64_t offset; void* handle; };
struct Bytes { size_t count; int size; ptrdiff_t source_stride, target_stride; };
struct AtomicVerb { nvshmemi_amo_t desc; int is_fetch, is_value, is_compare; };
struct AtomicMemory {
  Memory remote;
  uint64_t flag;
  void *result, *value_at, *compare_at;
  uint64_t value, compare;
  void* handle;
};
struct AtomicBytes { int type, size; };
struct Bootstrap {
  int version, pe, pes, pe_of_node, pes_of_node;
  int (*allgather)(const void*, void*, int, Bootstrap*);
};
struct Transport;
struct Operations {
  int (*reach)(int*, void*, Transport*);
  int (*connect)(Transport*, int*, int);
  int (*get_handle)(void*, void*, size_t, Transport*, bool);
  int (*release_handle)(void*, Transport*);
  int (*finalize)(Transport*);
  int (*show_info)(Transport*, int);
  int (*progress)(Transport*);
  int (*rma)(Transport*, int, Verb, Memory*, Memory*, Bytes, int);
  int (*amo)(Transport*, int, void*, AtomicVerb, AtomicMemory*, AtomicBytes, int);
  int (*fence)(Transport*, int, int);
  int (*quiet)(Transport*, int, int);
  void *enforce_cst, *enforce_cst_at_target, *add_device_handles;
};
struct State;
struct Transport {
  int api, type, *cap;
  Operations operations;
  Bootstrap* bootstrap;
  State* state;
  void *shared, *cache, *pci_paths;
  int attributes, devices;
  bool atomics_complete_on_quiet, is_initialized, no_proxy;
  void* heap;
  size_t log2_granularity;
  uint64_t longest;
  uint32_t host_endian_atomics;
  int index, pe, pes;
  void *aliases, *egm;
};
static_assert(sizeof(Transport) == 240 && sizeof(Operations) == 112 && offsetof(Transport, operations) == 16);
static_assert(offsetof(Transport, bootstrap) == 128 && offsetof(Transport, attributes) == 168);
static_assert(offsetof(Transport, is_initialized) == 177 && offsetof(Transport, heap) == 184);
static_assert(offsetof(Transport, pe) == 216 && offsetof(Bootstrap, allgather) == 24 && sizeof(Verb) == 24);
static_assert(sizeof(Memory) == 24 && sizeof(Bytes) == 32 && sizeof(AtomicVerb) == 16 && sizeof(AtomicMemory) == 80);
