// Receiving: a thread for each peer, which handles what arrives in the order of arrival.
#pragma once
#include "tcp_sending.h"

static int act_on(State* s, Peer& peer, const Head& head, const char* data) {
  if (head.what == PUT) {
    CUDA(to_gpu(head.at, data, head.bytes, peer.stream));
  } else if (head.what == ADD) {
    uint64_t at = head.at, value = 0;
    memcpy(&value, data, head.bytes);
    void* arguments[] = {&at, &value};
    CUDA(launch(head.bytes == 4 ? s->add4 : s->add8, 1, 1, 1, 1, 1, 1, 0, peer.stream, arguments, nullptr));
  } else {  // ASK: all that came before is in its place
    CUDA(wait_for_stream(peer.stream));
    char answer = 0;
    iovec part{&answer, 1};
    if (!write_all(peer.answers, &part, 1)) return INTERNAL_ERROR;
  }
  return 0;
}

// What a socket has, at most `most` bytes; polls for a while before it sleeps, since to be woken takes longer than many
// a message does.
static ssize_t take(int connection, char* to, size_t most) {
  for (int tries = 0; tries < SPINS; tries++) {
    const ssize_t got = recv(connection, to, most, MSG_DONTWAIT);
    if (got >= 0 || errno != EAGAIN) return got;
    sched_yield();
  }
  return recv(connection, to, most, 0);
}

// Acts on what a peer sends where it was received, until the peer says that it ends; before the ring is used again, the
// copies out of it end. False: it ended without a word, or a copy failed.
static bool receive(State* s, Peer& peer) {
  if (checked(cuda.set_context(s->context), "the context of NVSHMEM")) return false;
  for (size_t filled = 0, at = 0;;) {
    const size_t room = RECEIVING - filled;
    const ssize_t got = take(peer.in, peer.ring + filled, room < AT_ONCE ? room : AT_ONCE);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    filled += got;
    for (Head head; filled - at >= sizeof head; at += sizeof head + padded(head.bytes)) {
      memcpy(&head, peer.ring + at, sizeof head);
      if (head.what == BYE) return true;
      if (filled - at < sizeof head + padded(head.bytes)) break;
      if (act_on(s, peer, head, peer.ring + at + sizeof head)) return false;
    }
    if (RECEIVING - filled > CHUNK + sizeof(Head)) continue;
    if (checked(cuda.wait_for_stream(peer.stream), "copies to the GPU")) return false;
    memmove(peer.ring, peer.ring + at, filled - at);
    filled -= at, at = 0;
  }
}
