// The state of a PE towards its peers: connections, the queue of items to send, and the memory that they pass through.
#pragma once
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda_driver.h"

constexpr size_t CHUNK = 64 << 10, PACKET = 32 << 10, BATCH = 256 << 10;
constexpr size_t STAGING = 16 << 20, RECEIVING = 4 << 20;
constexpr int SPINS = 20000;  // some milliseconds
constexpr int MOST = 16;      // items that share a call of the system
enum : uint32_t { PUT, ADD, ASK, BYE };
struct Head { uint32_t what, bytes; uint64_t at; };
struct Item {
  int pe;
  Head head;
  const char* staged;  // null: the value
  uint32_t copy;
  bool begins;  // after a pause
  uint64_t value[2];
};
constexpr size_t padded(size_t bytes) { return (bytes + 15) / 16 * 16; }
static_assert(sizeof(Head) == 16 && CHUNK % 16 == 0, "what is behind it stays aligned");
constexpr size_t AT_ONCE = CHUNK + sizeof(Head);  // received, so that copying a piece overlaps receiving the next

// Held for moments by threads that never sleep: one that slept for it would be woken too late.
struct Lock {
  std::atomic_flag taken = ATOMIC_FLAG_INIT;
  void lock() { while (taken.test_and_set(std::memory_order_acquire)) sched_yield(); }
  void unlock() { taken.clear(std::memory_order_release); }
};
using Held = std::unique_lock<Lock>;

struct Peer {
  int out = -1, in = -1, answers = -1;  // connections
  std::thread receiver;
  std::atomic<bool> lost{false};
  bool unanswered = false;           // something was sent since the last question
  uint64_t asked = 0, answered = 0;  // questions of quiet
  std::mutex answering;
  void* stream = nullptr;
  char* ring = nullptr;
};
struct State {
  std::mutex posting;  // of those who post: copies are enqueued in the order of their items
  Lock lock;           // of all that follows but what other threads use: peers' connections, streams and rings
  std::vector<Peer> peers;
  std::deque<Item> queue;
  std::thread sender;
  std::condition_variable_any more;
  bool is_sending = false, is_ending = false;
  std::atomic<bool> failed{false};
  void *context = nullptr, *stream = nullptr, *module = nullptr, *add4 = nullptr, *add8 = nullptr;
  char* staging = nullptr;
  uint32_t* copied = nullptr;  // in pinned memory: the number of copies out of the GPU that have ended
  uint32_t copies = 0;
  size_t staged = 0;
  uint64_t puts = 0, additions = 0, bytes = 0, writes = 0;
};

static int lose(Peer& peer, int pe) {
  if (!peer.lost.exchange(true)) SAY("PE %d is gone", pe);
  return INTERNAL_ERROR;
}
