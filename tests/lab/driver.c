// A stand-in for CUDA's driver, for tests of the transport without a GPU: device memory is the process's own.
//
// Each stream is a thread that does its work some time after the call, as a GPU does, so that data used before they
// arrive, or changed before they are used, show up; large copies lag behind the network. A copy that changes alignment
// to 16 bytes, so that its words might not land whole, is refused. After the first work is enqueued, nothing can be
// allocated or loaded any more: behind kernels that spin, the real driver would wait.
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOT_READY = 600, OUT_OF_MEMORY = 2, MISALIGNED = 716 };
enum { LATE_IN = 8, LATE_US = 200, LARGE = 64 << 10, OUT_US = 1000, IN_US = 3000 };
typedef unsigned long long Gpu;
typedef struct Work {
  struct Work* next;
  void* target;
  const void* source;  // of a copy
  size_t size;
  uint64_t value;  // of an addition, or to be written
  uint32_t* word;
  int late_us;
} Work;
typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  Work *first, **last;
  int busy;
} Stream;

static int started;

static void do_work(const Work* work) {
  if (work->word) __atomic_store_n(work->word, (uint32_t)work->value, __ATOMIC_RELEASE);
  else if (work->source) memcpy(work->target, work->source, work->size);
  else if (work->size == 4) __atomic_fetch_add((uint32_t*)work->target, (uint32_t)work->value, __ATOMIC_SEQ_CST);
  else __atomic_fetch_add((uint64_t*)work->target, work->value, __ATOMIC_SEQ_CST);
}

__attribute__((noreturn)) static void* run(void* argument) {
  Stream* stream = argument;
  unsigned seed = (unsigned)(uintptr_t)stream;
  for (;;) {
    pthread_mutex_lock(&stream->lock);
    stream->busy = 0;
    pthread_cond_broadcast(&stream->changed);
    while (!stream->first) pthread_cond_wait(&stream->changed, &stream->lock);
    Work* work = stream->first;
    if (!(stream->first = work->next)) stream->last = &stream->first;
    stream->busy = 1;
    pthread_mutex_unlock(&stream->lock);
    if (work->late_us) usleep(work->late_us);
    else if (rand_r(&seed) % LATE_IN == 0) usleep(LATE_US);
    do_work(work);
    free(work);
  }
}

static int enqueue(Stream* stream, Work work) {
  Work* kept = malloc(sizeof work);
  *kept = work, kept->next = NULL, started = 1;
  pthread_mutex_lock(&stream->lock);
  *stream->last = kept, stream->last = &kept->next;
  pthread_cond_broadcast(&stream->changed);
  pthread_mutex_unlock(&stream->lock);
  return 0;
}

int cuCtxGetCurrent(void** context) { *context = (void*)&started; return 0; }
int cuCtxSetCurrent(void* context) { return context == (void*)&started ? 0 : 201; }

int cuStreamCreateWithPriority(void** made, unsigned flags, int priority) {
  pthread_t thread;
  (void)flags, (void)priority;
  if (started) return OUT_OF_MEMORY;
  Stream* stream = calloc(1, sizeof *stream);
  pthread_mutex_init(&stream->lock, NULL), pthread_cond_init(&stream->changed, NULL);
  stream->last = &stream->first, *made = stream;
  return pthread_create(&thread, NULL, run, stream);
}
int cuStreamSynchronize(void* handle) {
  Stream* stream = handle;
  pthread_mutex_lock(&stream->lock);
  while (stream->first || stream->busy) pthread_cond_wait(&stream->changed, &stream->lock);
  pthread_mutex_unlock(&stream->lock);
  return 0;
}
int cuStreamDestroy_v2(void* stream) { return cuStreamSynchronize(stream); }

int cuMemHostAlloc(void** made, size_t size, unsigned flags) {
  (void)flags;
  return started || !(*made = malloc(size)) ? OUT_OF_MEMORY : 0;
}
int cuMemFreeHost(void* memory) { free(memory); return 0; }
int cuMemcpyHtoDAsync_v2(Gpu target, const void* source, size_t size, void* stream) {
  if (target % 16 == 0 && (uintptr_t)source % 16) return MISALIGNED;
  return enqueue(stream, (Work){NULL, (void*)target, source, size, 0, NULL, size > LARGE ? IN_US : 0});
}
int cuMemcpyDtoHAsync_v2(void* target, Gpu source, size_t size, void* stream) {
  if (source % 16 == 0 && (uintptr_t)target % 16) return MISALIGNED;
  return enqueue(stream, (Work){NULL, target, (const void*)source, size, 0, NULL, size > LARGE ? OUT_US : 0});
}

int cuStreamWriteValue32_v2(void* stream, Gpu target, unsigned value, unsigned flags) {
  return flags ? 1 : enqueue(stream, (Work){NULL, NULL, NULL, 4, value, (uint32_t*)target, 0});
}
int cuStreamQuery(void* stream) { (void)stream; return NOT_READY; }

int cuModuleLoadData(void** module, const void* text) { *module = (void*)text; return started ? OUT_OF_MEMORY : 0; }
int cuModuleGetFunction(void** kernel, void* module, const char* name) {
  (void)module;
  *kernel = (void*)(uintptr_t)(!strcmp(name, "add4") ? 4 : !strcmp(name, "add8") ? 8 : 0);
  return started || !*kernel ? OUT_OF_MEMORY : 0;
}
int cuModuleUnload(void* module) { (void)module; return 0; }
int cuLaunchKernel(void* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void* stream, void** arguments, void** extra) {
  (void)shared, (void)extra;
  if (gx * gy * gz * bx * by * bz != 1) return 1;
  void* at = *(void**)arguments[0];
  return enqueue(stream, (Work){NULL, at, NULL, (size_t)(uintptr_t)kernel, *(uint64_t*)arguments[1], NULL, 0});
}
