// Sending: callers append items to the queue, from which one thread sends them in order.
#pragma once
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <algorithm>

#include "tcp_state.h"

static bool write_all(int connection, iovec* parts, int count) {
  while (count) {
    msghdr message{};
    message.msg_iov = parts, message.msg_iovlen = count;
    ssize_t done = sendmsg(connection, &message, MSG_NOSIGNAL);
    if (done < 0 && errno != EINTR) return false;
    if (done < 0) continue;
    for (; count && done >= (ssize_t)parts->iov_len; parts++, count--) done -= parts->iov_len;
    if (count) parts->iov_base = (char*)parts->iov_base + done, parts->iov_len -= done;
  }
  return true;
}

static bool is_ready(State* s, const Item& item) {  // without the driver, whose calls wait for each other
  return !item.staged || (int32_t)(__atomic_load_n(s->copied, __ATOMIC_ACQUIRE) - item.copy) >= 0;
}

// The first bytes after a pause, and the last ones, wait for no more than a packet.
static bool write_packets(const Peer& peer, const Item& item) {
  for (size_t at = 0, bytes; at < item.head.bytes; at += bytes) {
    bytes = std::min(PACKET, item.head.bytes - at);
    Head head{PUT, (uint32_t)bytes, item.head.at + at};
    iovec parts[] = {{&head, sizeof head}, {(void*)(item.staged + at), padded(bytes)}};
    if (!write_all(peer.out, parts, 2)) return false;
  }
  return true;
}

static bool write_items(const Peer& peer, Item* items, int count) {
  iovec parts[2 * MOST];
  for (int n = 0; n < count; n++) {
    parts[2 * n] = {&items[n].head, sizeof items[n].head};
    parts[2 * n + 1] = {items[n].staged ? (void*)items[n].staged : items[n].value, padded(items[n].head.bytes)};
  }
  return write_all(peer.out, parts, 2 * count);
}

// Sends the first items of the queue: those that are staged and for one peer share a system call, up to BATCH bytes,
// since TCP then leaves few short frames between them; but a piece after a pause, and a last one, goes by itself, in
// packets. False: none is staged yet. Only the sender takes items, and the lock is not held while the system sends.
static bool send_some(State* s, Held& held) {
  Item items[MOST];
  int count = 0;
  size_t bytes = 0;
  while (count < MOST && !s->queue.empty()) {
    const Item& next = s->queue.front();
    const bool by_itself = next.begins || (next.staged && s->queue.size() == 1);
    const bool joins = !count || (!by_itself && !items[0].begins && next.pe == items[0].pe);
    if (!joins || (count && bytes + next.head.bytes > BATCH) || !is_ready(s, next)) break;
    bytes += next.head.bytes;
    items[count++] = next;
    s->queue.pop_front();
  }
  if (!count) return false;
  const Item& first = items[0];
  const bool in_packets = count == 1 && first.staged && (first.begins || s->queue.empty());
  s->bytes += bytes;
  s->is_sending = true, s->writes++;
  held.unlock();
  Peer& peer = s->peers[first.pe];
  const auto write = [&] { return in_packets ? write_packets(peer, first) : write_items(peer, items, count); };
  if (!peer.lost && !write()) lose(peer, first.pe);
  held.lock();
  s->is_sending = false;
  if (s->queue.empty()) s->staged = 0;  // all of it is free again
  return true;
}

static bool copies_fail(State* s) {
  const int code = cuda.is_idle(s->stream);
  return code != NOT_READY && checked(code, "copies out of the GPU");
}

// The sender: until the end, and all has been sent or never will be.
static void send_all(State* s) {
  Held held(s->lock);
  if (checked(cuda.set_context(s->context), "the context of NVSHMEM")) s->failed = true;
  for (int tries = 0; !s->is_ending || (!s->queue.empty() && !s->failed); tries++) {
    if (!s->queue.empty() && send_some(s, held)) { tries = 0; continue; }
    if (tries > SPINS) {
      if (s->queue.empty()) s->more.wait(held, [s] { return s->is_ending || !s->queue.empty(); });
      else if (!s->failed && copies_fail(s)) s->failed = true;
      tries = 0;
    }
    held.unlock();
    sched_yield();
    held.lock();
  }
}

// Waits until everything has been sent. The lock is held before and after.
static void drain(State* s, Held& held) {
  while ((!s->queue.empty() || s->is_sending) && !s->failed) {
    held.unlock();
    sched_yield();
    held.lock();
  }
}

static void post(State* s, const Item& item) {
  s->peers[item.pe].unanswered |= item.head.what < ASK;
  s->queue.push_back(item);
  if (s->queue.size() == 1) s->more.notify_one();
}

static void post_head(State* s, int pe, uint32_t what) { post(s, {pe, {what, 0, 0}, nullptr, 0, false, {}}); }

static int post_value(State* s, int pe, uint32_t what, void* target, const void* value, size_t bytes) {
  Item item{pe, {what, (uint32_t)bytes, (uint64_t)target}, nullptr, 0, false, {}};
  memcpy(item.value, value, bytes);
  post(s, item);
  return s->failed;
}

// The item is queued before it is copied, since others wait for the lock while the driver is called; it is sent when the
// count of ended copies has come to it.
static int post_piece(State* s, int pe, char* target, const char* source, size_t bytes, bool begins) {
  Item item{pe, {PUT, (uint32_t)bytes, (uint64_t)target}, nullptr, 0, begins, {}};
  {
    Held held(s->lock);
    if (s->staged + padded(bytes) > STAGING) drain(s, held);
    item.staged = s->staging + s->staged, item.copy = ++s->copies;
    s->staged += padded(bytes);
    post(s, item);
  }
  CUDA(to_host((void*)item.staged, (Gpu)source, bytes, s->stream));
  CUDA(write_word(s->stream, (Gpu)s->copied, item.copy, 0));  // after the copy
  return s->failed;
}
