// Frames under way in the switch: the lock of what its threads share, the memory of frames, and a heap for each target.
#pragma once
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOSTS = 16, ROOM = 8192, LONGEST = 70000 };

typedef struct {
  int64_t due;
  uint64_t number;  // of two that are due at once, the one that came first goes first
  int from, size;
  unsigned char* data;
} Frame;

// The lock of what is shared, also in switch.c; not held during reads and writes of the system.
static atomic_flag taken = ATOMIC_FLAG_INIT;
static Frame under_way[HOSTS][ROOM];  // for each target a heap, the frame that is due first on top
static int waiting[HOSTS];
static _Atomic int64_t first_due[HOSTS];  // of that heap; may be read without the lock

static const int64_t NEVER = INT64_MAX;

static void lock(void) {
  while (atomic_flag_test_and_set_explicit(&taken, memory_order_acquire)) sched_yield();
}
static void unlock(void) { atomic_flag_clear_explicit(&taken, memory_order_release); }

// ---- Memory ----

enum { SHORT = 4096, KEPT = 1024 };  // short frames, acknowledgements for instance, may be many at a time
static unsigned char* kept[KEPT];    // for long frames, whose memory would come from the system anew each time
static int kept_count;

static unsigned char* room_for(int size) {
  unsigned char* data = NULL;
  if (size > SHORT) {
    lock();
    if (kept_count) data = kept[--kept_count];
    unlock();
  }
  if (!data) data = malloc(size > SHORT ? LONGEST : size);
  if (!data) { perror("switch"); exit(1); }
  return data;
}

static void give_back(unsigned char* data, int size) {
  if (size > SHORT) {
    lock();
    if (kept_count < KEPT) kept[kept_count++] = data, data = NULL;
    unlock();
  }
  free(data);
}

// ---- Frames under way: a heap for each target ----

static int before(const Frame* a, const Frame* b) { return a->due != b->due ? a->due < b->due : a->number < b->number; }

static void swap(Frame* a, Frame* b) {
  const Frame kept = *a;
  *a = *b, *b = kept;
}

static void push(int target, Frame frame) {
  Frame* heap = under_way[target];
  int at = waiting[target]++;
  heap[at] = frame;
  for (int up; at && before(&heap[at], &heap[up = (at - 1) / 2]); at = up) swap(&heap[at], &heap[up]);
  first_due[target] = heap[0].due;
}

static Frame pop(int target) {
  Frame* heap = under_way[target];
  const Frame first = heap[0];
  const int count = --waiting[target];
  heap[0] = heap[count];
  for (int at = 0, child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && before(&heap[child + 1], &heap[child])) child++;
    if (!before(&heap[child], &heap[at])) break;
    swap(&heap[child], &heap[at]);
  }
  first_due[target] = count ? heap[0].due : NEVER;
  return first;
}
