// A remote transport of NVSHMEM over TCP, for hosts that are namespaces of one machine: no adapter, and no library but
// CUDA's driver. Built with the soname of NVIDIA's transport "ibrc" and preloaded, it is what NVSHMEM opens by that
// name (NVSHMEM_REMOTE_TRANSPORT=ibrc). It listens at the address of the interface LAB_INTERFACE, else of eth0.
//
// A put: a copy engine brings the source into pinned memory, a thread sends it, and a thread of the peer receives it into
// pinned memory, from where a copy engine brings it to its place, each piece while the next is on its way. Signals travel
// as puts; additions are a kernel of one thread at the target, atomic also against kernels that run there.
//
// Order. What one PE sends to another takes effect there in the order of the calls: a queue, a connection, a stream. So
// fence has nothing to do, and a signal follows all data. Between several PEs there is no order. A put is cut into
// pieces of CHUNK bytes, a multiple of 16, which land in order; within a piece, bytes land in any order, but aligned
// words of 8 bytes land whole: what is staged, sent and received keeps its alignment to 16 bytes (shorter things are
// padded on the wire), and a copy engine writes such words whole (assumed, as NVSHMEM and NCCL assume it of adapters).
// After quiet, all that was sent before lies in the target's memory. The source of a put is free after quiet, or at
// once if the put is not "nbi".
//
// Nothing is allocated or loaded after connect, since kernels may spin, and behind them the driver waits. No wait here
// is in a circle: a receiving thread waits for its copy engine alone, since its answers to quiet, a byte each, go over
// a connection of their own; so a receiver never keeps a sender from sending. An addition waits for a place
// on the GPU: kernels that fill it and wait for an addition wait for ever.
//
// LAB_COUNTS=1 says at the end how many puts, bytes and calls of the system there were.
// A peer that ends early is named; what is for it is discarded, and quiet fails towards it. No get, no fetching atomic.
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda_driver.h"
#include "plugin.h"

// ---- State ----

constexpr size_t CHUNK = 64 << 10, PACKET = 16 << 10, STAGING = 16 << 20, RECEIVING = 4 << 20;
constexpr int SPINS = 20000;  // some milliseconds
constexpr int MOST = 16;      // items that share a call of the system
enum : uint32_t { PUT, ADD, ASK, BYE };
struct Head { uint32_t what, bytes; uint64_t at; };
struct Item { int pe; Head head; const char* staged; uint32_t copy; uint64_t value[2]; };  // not staged: the value
constexpr size_t padded(size_t bytes) { return (bytes + 15) / 16 * 16; }
static_assert(sizeof(Head) == 16 && CHUNK % 16 == 0, "what is behind it stays aligned");
constexpr size_t AT_ONCE = CHUNK + sizeof(Head);  // received, so that the copy of a piece overlaps with receiving the next

// Held for moments by threads that never sleep: one that slept for it would be woken too late.
struct Lock {
  std::atomic_flag taken = ATOMIC_FLAG_INIT;
  void lock() { while (taken.test_and_set(std::memory_order_acquire)) sched_yield(); }
  void unlock() { taken.clear(std::memory_order_release); }
};
using Held = std::unique_lock<Lock>;

struct Peer {
  int data = -1, answers = -1;
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

// ---- Sending ----

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

// Sends a piece in packets, as an adapter would: so its first bytes are on their way while the rest is still copied, and
// its last ones wait for no more than a packet.
static bool write_packets(const Peer& peer, const Item& item) {
  for (size_t at = 0; at < item.head.bytes; at += PACKET) {
    const size_t bytes = item.head.bytes - at < PACKET ? item.head.bytes - at : PACKET;
    Head head{PUT, (uint32_t)bytes, item.head.at + at};
    iovec parts[] = {{&head, sizeof head}, {(void*)(item.staged + at), padded(bytes)}};
    if (!write_all(peer.data, parts, 2)) return false;
  }
  return true;
}

static bool write_items(const Peer& peer, Item* items, int count) {
  iovec parts[2 * MOST];
  for (int n = 0; n < count; n++) {
    parts[2 * n] = {&items[n].head, sizeof items[n].head};
    parts[2 * n + 1] = {items[n].staged ? (void*)items[n].staged : items[n].value, padded(items[n].head.bytes)};
  }
  return write_all(peer.data, parts, 2 * count);
}

// Sends the first items of the queue: those that are staged and for one peer share a call of the system, up to the bytes
// of a piece, and the last goes in packets. False: none is staged yet. Only the sender takes items, and the lock is not
// held while the system sends.
static bool send_some(State* s, Held& held) {
  Item items[MOST];
  int count = 0;
  size_t bytes = 0;
  while (count < MOST && !s->queue.empty()) {
    const Item& next = s->queue.front();
    if ((count && (next.pe != items[0].pe || bytes + next.head.bytes > CHUNK)) || !is_ready(s, next)) break;
    bytes += next.head.bytes;
    items[count++] = next;
    s->queue.pop_front();
  }
  if (!count) return false;
  const bool cut = count == 1 && items[0].staged && s->queue.empty();
  s->bytes += bytes;
  s->is_sending = true, s->writes++;
  held.unlock();
  const int pe = items[0].pe;
  Peer& peer = s->peers[pe];
  if (!peer.lost && !(cut ? write_packets(peer, items[0]) : write_items(peer, items, count))) lose(peer, pe);
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

static void post_head(State* s, int pe, uint32_t what) { post(s, {pe, {what, 0, 0}, nullptr, 0, {}}); }

static int post_value(State* s, int pe, uint32_t what, void* target, const void* value, size_t bytes) {
  Item item{pe, {what, (uint32_t)bytes, (uint64_t)target}, nullptr, 0, {}};
  memcpy(item.value, value, bytes);
  post(s, item);
  return s->failed;
}

// The item is queued before it is copied, since others wait for the lock while the driver is called; it is sent when the
// count of ended copies has come to it.
static int post_piece(State* s, int pe, char* target, const char* source, size_t bytes) {
  Item item{pe, {PUT, (uint32_t)bytes, (uint64_t)target}, nullptr, 0, {}};
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

// ---- Receiving ----

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
    const ssize_t got = take(peer.data, peer.ring + filled, room < AT_ONCE ? room : AT_ONCE);
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

// ---- Connections ----

struct Name { in_addr_t address; in_port_t port; };
struct Hello { int32_t pe, is_answers; };

static in_addr_t own_address(const char* interface) {
  in_addr_t found = INADDR_NONE;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all)) return found;
  for (ifaddrs* a = all; a; a = a->ifa_next)
    if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET && !strcmp(a->ifa_name, interface))
      found = ((sockaddr_in*)a->ifa_addr)->sin_addr.s_addr;
  freeifaddrs(all);
  return found;
}

static int call_up(const Name& name, Hello hello) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET, to.sin_addr.s_addr = name.address, to.sin_port = name.port;
  if (connect(connection, (sockaddr*)&to, sizeof to)) return -1;
  return send(connection, &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello ? connection : -1;
}

static void keep(State* s, int connection, Hello hello) {
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (hello.is_answers ? s->peers[hello.pe].answers : s->peers[hello.pe].data) = connection;
}

// Two connections with each PE: this one calls those before it and is called by those behind it.
static int connect_peers(Transport* t, State* s) {
  const char* named = getenv("LAB_INTERFACE");
  const char* interface = named ? named : "eth0";
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  socklen_t length = sizeof own;
  own.sin_family = AF_INET, own.sin_addr.s_addr = own_address(interface);
  if (own.sin_addr.s_addr == INADDR_NONE) return SAY("interface %s has no address", interface);
  sockaddr* const address = (sockaddr*)&own;
  if (bind(listener, address, length) || listen(listener, 2 * t->pes) || getsockname(listener, address, &length))
    return SAY("cannot listen: %s", strerror(errno));
  const Name mine{own.sin_addr.s_addr, own.sin_port};
  std::vector<Name> all(t->pes);
  TRY(t->bootstrap->allgather(&mine, all.data(), sizeof mine, t->bootstrap));
  for (int pe = 0; pe < t->pe; pe++) for (int kind : {0, 1}) {
    const int connection = call_up(all[pe], {t->pe, kind});
    if (connection < 0) return SAY("cannot reach PE %d: %s", pe, strerror(errno));
    keep(s, connection, {pe, kind});
  }
  for (int calls = 2 * (t->pes - 1 - t->pe); calls; calls--) {
    Hello hello;
    const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0 || recv(connection, &hello, sizeof hello, MSG_WAITALL) != sizeof hello)
      return SAY("a PE did not call: %s", strerror(errno));
    keep(s, connection, hello);
  }
  close(listener);
  return 0;
}

static int allocate(State* s) {
  CUDA(get_context(&s->context));
  CUDA(make_stream(&s->stream, NON_BLOCKING, HIGHEST_PRIORITY));
  CUDA(make_pinned((void**)&s->staging, STAGING, PORTABLE));
  CUDA(load(&s->module, lab_ptx));
  CUDA(find(&s->add4, s->module, "add4"));
  CUDA(find(&s->add8, s->module, "add8"));
  CUDA(make_pinned((void**)&s->copied, sizeof *s->copied, PORTABLE));
  *s->copied = 0;
  for (Peer& peer : s->peers) if (peer.data >= 0) {
    CUDA(make_stream(&peer.stream, NON_BLOCKING, HIGHEST_PRIORITY));
    CUDA(make_pinned((void**)&peer.ring, RECEIVING, PORTABLE));
  }
  return 0;
}

// ---- Operations ----

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
    TRY(post_piece(s, pe, target + at, source + at, most));
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
  for (Peer& peer : s->peers) if (peer.data >= 0) {
    if (peer.receiver.joinable()) peer.receiver.join();  // connect may have failed; answers go out until the peer ends
    close(peer.data), close(peer.answers);
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
