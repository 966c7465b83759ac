// A remote transport of NVSHMEM over TCP, for hosts that are namespaces of one machine: no adapter, and no library but
// CUDA's driver. Built with the soname of NVIDIA's transport "ibrc" and preloaded, it is what NVSHMEM opens under that
// name (NVSHMEM_REMOTE_TRANSPORT=ibrc). It listens at the address of the interface LAB_INTERFACE, else of eth0.
//
// A put: a copy engine brings the source into pinned memory, a thread sends it, and a thread of the peer receives it
// into pinned memory, from where a copy engine brings it to its place, each piece while the next is under way. Signals
// travel as puts; additions are a kernel of one thread at the target, atomic also with respect to kernels that run
// there.
//
// Order. What one PE sends to another takes effect there in the order of the calls: one queue, one connection, one
// stream. So fence has nothing to do, and a signal follows all data. Between several PEs there is no order. A put is
// cut into pieces of CHUNK bytes, a multiple of 16, which land in order; within a piece, bytes land in any order, but
// aligned words of 8 bytes land whole: staging, sending and receiving keep the alignment to 16 bytes (shorter items are
// padded on the wire), and a copy engine writes such words whole (assumed, as NVSHMEM and NCCL assume it of adapters).
// After quiet, all that was sent before is in the target's memory. The source of a put is free after quiet, or at once
// if the put is not "nbi".
//
// Nothing is allocated or loaded after connect, since kernels may spin, and the driver would wait behind them. Waits
// form no cycle: a receiving thread waits for its copy engine alone, since its answers to quiet, one byte each, take a
// connection of their own; so a receiver never keeps a sender from sending. An addition waits for a place on the GPU:
// kernels that fill the GPU and wait for an addition wait for ever.
//
// LAB_COUNTS=1 prints at the end how many puts, bytes and system calls there were. A peer that ends early is named;
// what is for it is discarded, and quiet towards it fails. No get, no fetching atomic.
#include <poll.h>
#include <stdlib.h>

#include "plugin.h"
#include "tcp_connections.h"
#include "tcp_receiving.h"

static int reach(int* access, void*, Transport*) {  // reads are refused when they come; NVSHMEM asks for both
  *access = CPU_WRITE | CPU_READ | CPU_ATOMICS;
  return 0;
}

static int connect_all(Transport* t, int*, int) {
  State* s = t->state;
  if (!s->peers.empty()) return 0;
  s->peers = std::vector<Peer>(t->pes);
  TRY(connect_peers(t, s));
  TRY(allocate(s));
  s->sender = std::thread(send_all, s);
  for (int pe = 0; pe < t->pes; pe++) if (pe != t->pe)
    s->peers[pe].receiver = std::thread([s, pe] { if (!receive(s, s->peers[pe])) lose(s->peers[pe], pe); });
  return 0;
}

static int get_handle(void*, void*, size_t, Transport*, bool) { return 0; }  // addresses are enough
static int release_handle(void*, Transport*) { return 0; }
static int show_info(Transport*, int) { return 0; }
static int fence(Transport*, int, int) { return 0; }

static int progress(Transport* t) { return t->state->failed; }

// The first bytes after a pause are a packet, so that they are on their way while the rest is copied.
static int put(State* s, int pe, char* target, const char* source, size_t size) {
  bool idle;
  {
    Held held(s->lock);
    idle = s->queue.empty() && !s->is_sending;
  }
  for (size_t at = 0, most = idle ? PACKET : CHUNK; at < size; at += most, most = CHUNK) {
    if (most > size - at) most = size - at;
    TRY(post_piece(s, pe, target + at, source + at, most, idle && !at));
  }
  return 0;
}

static int rma(Transport* t, int pe, Verb verb, Memory* remote, Memory* local, Bytes bytes, int) {
  State* s = t->state;
  const size_t size = bytes.count * bytes.size;
  std::lock_guard<std::mutex> alone(s->posting);
  s->puts++;
  if (verb.desc == NVSHMEMI_OP_PUT) TRY(put(s, pe, (char*)remote->ptr, (const char*)local->ptr, size));
  else if (verb.desc != NVSHMEMI_OP_P) return SAY("there is no operation %d, only put and p", verb.desc);
  Held held(s->lock);
  if (verb.desc == NVSHMEMI_OP_P) post_value(s, pe, PUT, remote->ptr, local->ptr, size);
  else if (!verb.is_nbi) drain(s, held);
  return s->failed;
}

static int amo(Transport* t, int pe, void*, AtomicVerb verb, AtomicMemory* target, AtomicBytes bytes, int) {
  State* s = t->state;
  std::lock_guard<std::mutex> alone(s->posting);
  Held held(s->lock);
  switch (verb.desc) {
    case NVSHMEMI_AMO_SET: case NVSHMEMI_AMO_SIGNAL: case NVSHMEMI_AMO_SIGNAL_SET:
      s->puts++;
      return post_value(s, pe, PUT, target->remote.ptr, &target->value, bytes.size);
    case NVSHMEMI_AMO_ADD: case NVSHMEMI_AMO_SIGNAL_ADD:
      s->additions++;
      return post_value(s, pe, ADD, target->remote.ptr, &target->value, bytes.size);
    default: return SAY("there is no atomic %d, only set, add and signals", verb.desc);
  }
}

// Asks all peers at once, since NVSHMEM calls quiet for one after the other: together they take one round trip.
static int quiet(Transport* t, int pe, int) {
  State* s = t->state;
  if (s->peers.empty() || pe == t->pe) return 0;
  uint64_t number;
  {
    Held held(s->lock);
    for (int n = 0; n < t->pes; n++) {
      Peer& peer = s->peers[n];
      if (n == t->pe || !peer.unanswered || peer.lost) continue;
      post_head(s, n, ASK);
      peer.unanswered = false, peer.asked++;
    }
    number = s->peers[pe].asked;
  }
  Peer& peer = s->peers[pe];
  std::lock_guard<std::mutex> held(peer.answering);
  char answers[64];
  for (int tries = 0; peer.answered < number; tries++) {  // spins for about a millisecond, then also sleeps
    pollfd waits{peer.answers, POLLIN, 0};
    if (tries > SPINS) poll(&waits, 1, 1);
    const ssize_t got = recv(peer.answers, answers, sizeof answers, MSG_DONTWAIT);
    if (got > 0) peer.answered += got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR) || peer.lost) return lose(peer, pe);
  }
  return peer.lost ? INTERNAL_ERROR : 0;
}

static int finalize(Transport* t) {  // errors of the driver no longer matter: a kernel may have failed
  State* s = t->state;
  if (getenv("LAB_COUNTS"))
    SAY("PE %d: %lu puts and signals, %lu additions, %lu bytes in %lu calls", t->pe, s->puts, s->additions, s->bytes,
        s->writes);
  if (s->sender.joinable()) {
    {
      Held held(s->lock);
      for (int pe = 0; pe < t->pes; pe++) if (pe != t->pe) post_head(s, pe, BYE);
      s->is_ending = true;
      s->more.notify_one();
    }
    s->sender.join();
  }
  for (Peer& peer : s->peers) if (peer.in >= 0) {
    if (peer.receiver.joinable()) peer.receiver.join();  // connect may have failed; answers go out until the peer ends
    close(peer.out), close(peer.in), close(peer.answers);
    if (!peer.stream) continue;
    cuda.free_stream(peer.stream);
    cuda.free_pinned(peer.ring);
  }
  if (s->staging) {
    cuda.free_pinned(s->copied);
    cuda.free_stream(s->stream);
    cuda.free_pinned(s->staging);
    cuda.unload(s->module);
  }
  delete s;
  free(t);
  return 0;
}

extern "C" __attribute__((visibility("default"))) int nvshmemt_init(Transport** made, void*, int api) {
  if (api / 10000 != ABI)
    return SAY("this is a transport of plugin ABI %d (NVSHMEM 3.4.5), and NVSHMEM's here is %d", ABI, api / 10000);
  TRY(find_driver());
  Transport* t = (Transport*)calloc(1, sizeof(Transport));
  t->operations = {reach, connect_all, get_handle, release_handle, finalize, show_info, progress,
                   rma,   amo,         fence,      quiet,          nullptr,  nullptr,   nullptr};
  t->api = ABI * 10000, t->attributes = CONNECTED, t->is_initialized = true, t->state = new State;
  *made = t;
  return 0;
}
