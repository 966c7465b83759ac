// Carries Ethernet frames between hosts: switch SPIN CONTROL CABLE...
//
// SPIN: 1 never sleeps: two threads for each host need a processor each, and no right to real-time scheduling; 0
// sleeps, in real time where that is permitted. CONTROL: a listening Unix socket (SOCK_SEQPACKET). CABLE: for each host
// a descriptor of which a read is a frame behind a virtio_net_hdr: a TAP device, or in tests a socket. Host n (1, 2,
// ...) has the Ethernet address 02:00:00:00:4d:n; frames to any other address, broadcasts included, are not carried.
//
// A frame leaves its host when those before it have left, crosses the trunk that all frames share when those before it
// have crossed, and enters the other host when those before it have entered, all three at once as far as the rates
// allow; then the delay passes. Frames of a pair of hosts stay in order, unless a fault lets them overtake. An
// acknowledgement without data does not wait for data, as with fair queueing: the queue of a host is unbounded here,
// since a TAP device takes whatever TCP has, and behind megabytes each window would stall for two delays.
//
// A client of CONTROL sends words and receives "ok", the answer, or "error: ...". One client at a time:
//
//   link DELAY_NS PS_PER_BYTE TRUNK_PS_PER_BYTE    picoseconds a byte, 0 for no limit; for frames that come from now on
//   faults SEED DROP STALL STALL_NS OVERTAKE OVERTAKE_NS    chances in millionths: a frame is lost; it and those behind
//                               it between the same hosts wait; it alone waits, so that others overtake it
//   cut HOST, mend HOST         all frames from and to HOST are dropped, also those under way; 0: of all hosts
//   counts                      a line for each pair with traffic: SOURCE TARGET FRAMES PACKETS BYTES DROPPED STALLED
//                               OVERTAKEN OVERFLOWED. Packets and bytes are those of a link: a frame that the host
//                               leaves to its adapter to cut (TSO) counts as its segments, each with its headers.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"
#include "headers.h"

typedef struct {
  uint64_t frames, packets, bytes, dropped, stalled, overtaken, overflowed;
} Traffic;
typedef struct {
  int64_t delay, wire_ps, trunk_ps;
} Link;
typedef struct {
  uint64_t state, drop, stall, overtake;
  int64_t stall_ns, overtake_ns;
} Faults;

static int hosts, cable[HOSTS], control, client = -1;
static int64_t left[HOSTS], entered[HOSTS], stalled_until[HOSTS][HOSTS], crossed;
static int is_cut[HOSTS];
static Traffic traffic[HOSTS][HOSTS];
static Link carried;
static Faults faults;
static uint64_t frames_so_far;

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}
static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

// ---- What a frame meets on its way ----

static int64_t due_at(int source, int target, uint64_t bytes, int waits) {
  const int64_t wire = bytes * carried.wire_ps / 1000, trunk = bytes * carried.trunk_ps / 1000;
  left[source] = later(now(), left[source]) + wire;
  int64_t end = left[source];
  if (trunk) end = crossed = later(end, later(end - wire, crossed) + trunk);
  entered[target] = later(end, entered[target] + wire);
  return (waits ? entered[target] : now() + wire + trunk) + carried.delay;
}

static int chance(uint64_t millionths) {  // xorshift64*: the same frames and seed, the same faults
  if (!millionths) return 0;
  faults.state ^= faults.state >> 12, faults.state ^= faults.state << 25, faults.state ^= faults.state >> 27;
  return (faults.state * 0x2545f4914f6cdd1dull >> 32) % 1000000 < millionths;
}

// Whether the frame is under way now, so that its memory is no longer the caller's.
static int carry(int source, int target, unsigned char* data, int size) {
  Traffic* seen = &traffic[source][target];
  if (is_cut[source] || is_cut[target] || chance(faults.drop)) return seen->dropped++, 0;
  if (waiting[target] == ROOM) return seen->overflowed++, 0;
  uint64_t packets, bytes;
  count_segments(data, size, &packets, &bytes);
  seen->frames++, seen->packets += packets, seen->bytes += bytes;
  int64_t* behind = &stalled_until[source][target];
  int64_t due = later(due_at(source, target, bytes, !is_acknowledgement(data, size)), *behind);
  if (chance(faults.stall)) seen->stalled++, *behind = due += faults.stall_ns;
  if (chance(faults.overtake)) seen->overtaken++, due += faults.overtake_ns;
  push(target, (Frame){due, frames_so_far++, source, size, data});
  return 1;
}

// Takes one frame, so that others are delivered in time.
static void take(int source) {
  static unsigned char* rooms[HOSTS];  // for the next frame of each host
  unsigned char** room = &rooms[source];
  if (!*room) *room = room_for(LONGEST);
  const int size = read(cable[source], *room, LONGEST);
  const int target = target_of(*room, size);
  if (target < 0 || target >= hosts) return;
  unsigned char* data = size > SHORT ? *room : memcpy(room_for(size), *room, size);
  lock();
  const int is_under_way = carry(source, target, data, size);
  unlock();
  if (data == *room && is_under_way) *room = NULL;
  if (data != *room && !is_under_way) give_back(data, size);
}

static void deliver(int target) {
  while (first_due[target] <= now()) {
    lock();
    if (!waiting[target]) {  // it has been cut meanwhile
      unlock();
      return;
    }
    const Frame frame = pop(target);
    unlock();
    if (write(cable[target], frame.data, frame.size) < 0) {
      lock();
      traffic[frame.from][target].overflowed++;
      unlock();
    }
    give_back(frame.data, frame.size);
  }
}

// ---- Control ----

static char answer[1 << 17];
static int answer_size;

__attribute__((format(printf, 1, 2))) static void say(const char* format, ...) {
  va_list words;
  va_start(words, format);
  answer_size += vsnprintf(answer + answer_size, sizeof answer - answer_size, format, words);
  va_end(words);
}

static void say_counts(void) {
  for (int s = 0; s < hosts; s++) for (int t = 0; t < hosts; t++) {
    const Traffic* c = &traffic[s][t];
    if (!c->frames && !c->dropped && !c->overflowed) continue;
    say("%d %d %lu %lu %lu %lu %lu %lu %lu\n", s + 1, t + 1, c->frames, c->packets, c->bytes, c->dropped, c->stalled,
        c->overtaken, c->overflowed);
  }
}

static void drop_what_is_cut(int target) {
  const int count = waiting[target];
  waiting[target] = 0, first_due[target] = NEVER;
  for (int n = 0; n < count; n++) {  // what stays never moves behind what has not been seen
    const Frame frame = under_way[target][n];
    if (!is_cut[frame.from] && !is_cut[target]) push(target, frame);
    else traffic[frame.from][target].dropped++, free(frame.data);  // the lock is held
  }
}

static int set_cut(int host, int cut) {
  if (host < 0 || host > hosts) return 0;
  for (int n = 0; n < hosts; n++) if (!host || host == n + 1) is_cut[n] = cut;
  for (int n = 0; n < hosts; n++) drop_what_is_cut(n);
  return 1;
}

static void obey(const char* words) {
  Link link;
  Faults f;
  int host, understood = 1;
  answer_size = 0;
  if (sscanf(words, "link %ld %ld %ld", &link.delay, &link.wire_ps, &link.trunk_ps) == 3) carried = link;
  else if (sscanf(words, "faults %lu %lu %lu %ld %lu %ld", &f.state, &f.drop, &f.stall, &f.stall_ns, &f.overtake,
                  &f.overtake_ns) == 6) faults = f, faults.state |= 1;  // xorshift stays at 0
  else if (sscanf(words, "cut %d", &host) == 1) understood = set_cut(host, 1);
  else if (sscanf(words, "mend %d", &host) == 1) understood = set_cut(host, 0);
  else if (!strcmp(words, "counts")) say_counts();
  else understood = 0;
  if (!understood) say("error: the switch does not understand: %s", words);
  else if (!answer_size) say("ok");
}

static void serve(void) {
  char words[256];
  if (client < 0) client = accept4(control, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (client < 0) return;
  const int size = recv(client, words, sizeof words - 1, 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size > 0) {
    words[size] = 0;
    lock();
    obey(words);
    unlock();
    if (send(client, answer, answer_size, MSG_NOSIGNAL) == answer_size) return;
  }
  close(client);
  client = -1;
}

// ---- The loop ----

static struct pollfd anything_of_clients(void) { return (struct pollfd){client < 0 ? control : client, POLLIN, 0}; }

static void wait_for_client(void) {
  struct pollfd clients = anything_of_clients();
  poll(&clients, 1, -1);
}

static void carry_what_is_due(void) {
  struct pollfd polled[HOSTS + 1];
  int64_t first = NEVER;
  for (int n = 0; n < hosts; n++) {
    polled[n] = (struct pollfd){cable[n], POLLIN, 0};
    if (first_due[n] < first) first = first_due[n];
  }
  polled[hosts] = anything_of_clients();
  const int64_t ns = first == NEVER ? 1000000000 : later(0, first - now());
  const struct timespec wait = {ns / 1000000000, ns % 1000000000};
  ppoll(polled, hosts + 1, &wait, NULL);
  for (int n = 0; n < hosts; n++) take(n), deliver(n);
}

static void be_in_time(int spin) {
  const struct sched_param lowest = {1};
  // Ranks that wait spin: behind them a switch that sleeps would never be in time.
  if (spin || sched_setscheduler(0, SCHED_FIFO, &lowest)) setpriority(PRIO_PROCESS, 0, -20);
  prctl(PR_SET_TIMERSLACK, 1);
}

// The two threads of a host: of what it sends, and of what it receives.
static void* take_all_from(void* host) {
  while (1) take(*(const int*)host);
  return NULL;
}
static void* deliver_all_to(void* host) {
  while (1) deliver(*(const int*)host);
  return NULL;
}

static void start(void* (*work)(void*), int* host) {
  pthread_t thread;
  const int failed = pthread_create(&thread, NULL, work, host);
  if (failed) { fprintf(stderr, "switch: %s\n", strerror(failed)); exit(1); }
}

static void start_spinning(void) {
  static int numbers[HOSTS];
  for (int n = 0; n < hosts; n++) {
    numbers[n] = n;
    start(take_all_from, &numbers[n]);
    start(deliver_all_to, &numbers[n]);
  }
}

int main(int count, char** words) {
  hosts = count - 3;
  if (hosts < 1 || hosts > HOSTS) { fprintf(stderr, "switch: 1 to %d hosts, not %d\n", HOSTS, hosts); return 2; }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int spin = atoi(words[1]);
  control = atoi(words[2]);
  for (int n = 0; n < hosts; n++) cable[n] = atoi(words[n + 3]), first_due[n] = NEVER;
  be_in_time(spin);
  if (spin) start_spinning();
  while (1) {
    if (spin) wait_for_client();
    else carry_what_is_due();
    serve();
  }
}
