// The driver calls that the transport makes, resolved at run time, and its only kernels: additions.
#pragma once
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

constexpr int INTERNAL_ERROR = 7;  // of NVSHMEM
#define SAY(...) (fprintf(stderr, "tcp: " __VA_ARGS__), fputc('\n', stderr), INTERNAL_ERROR)
#define TRY(call) do { if (const int code = (call)) return code; } while (0)

typedef unsigned long long Gpu;
extern "C" __attribute__((visibility("default"))) const char lab_ptx[] = R"(.version 7.0
.target sm_75
.address_size 64
.visible .entry add4(.param .u64 at, .param .u64 value) {
  .reg .u64 %a, %v;
  .reg .u32 %w;
  ld.param.u64 %a, [at];
  ld.param.u64 %v, [value];
  cvt.u32.u64 %w, %v;
  red.relaxed.sys.add.u32 [%a], %w;
  ret;
}
.visible .entry add8(.param .u64 at, .param .u64 value) {
  .reg .u64 %a, %v;
  ld.param.u64 %a, [at];
  ld.param.u64 %v, [value];
  red.relaxed.sys.add.u64 [%a], %v;
  ret;
}
)";
static struct {
  int (*to_gpu)(Gpu, const void*, size_t, void*);
  int (*to_host)(void*, Gpu, size_t, void*);
  int (*get_context)(void**);
  int (*set_context)(void*);
  int (*make_stream)(void**, unsigned, int);
  int (*wait_for_stream)(void*);
  int (*free_stream)(void*);
  int (*make_pinned)(void**, size_t, unsigned);
  int (*free_pinned)(void*);
  int (*write_word)(void*, Gpu, unsigned, unsigned);
  int (*is_idle)(void*);
  int (*load)(void**, const void*);
  int (*find)(void**, void*, const char*);
  int (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  int (*unload)(void*);
} cuda;
static const char* const CUDA_NAMES[] = {
    "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuCtxGetCurrent", "cuCtxSetCurrent", "cuStreamCreateWithPriority",
    "cuStreamSynchronize", "cuStreamDestroy_v2", "cuMemHostAlloc", "cuMemFreeHost", "cuStreamWriteValue32_v2",
    "cuStreamQuery", "cuModuleLoadData", "cuModuleGetFunction", "cuLaunchKernel", "cuModuleUnload"};
constexpr int NOT_READY = 600, NON_BLOCKING = 1, HIGHEST_PRIORITY = -5, PORTABLE = 1;
static_assert(sizeof cuda == sizeof CUDA_NAMES, "a name for each call");

static int find_driver() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  void** call = (void**)&cuda;
  for (const char* name : CUDA_NAMES)
    if (!(*call++ = library ? dlsym(library, name) : nullptr)) return SAY("CUDA's driver has no %s", name);
  return 0;
}
static int checked(int code, const char* what) { return code ? SAY("CUDA error %d: %s", code, what) : 0; }
#define CUDA(call) TRY(checked(cuda.call, #call))
