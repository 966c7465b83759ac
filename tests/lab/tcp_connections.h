// Connections with all peers, and the memory and streams that they need, set up before any kernel spins.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"
#include "tcp_state.h"

struct Name { in_addr_t address; in_port_t port; };
enum Kind : int32_t { DATA_OF_CALLER, DATA_OF_CALLED, ANSWERS, KINDS };
struct Hello { int32_t pe, kind; };

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

static void keep(State* s, int connection, Hello hello, bool is_called) {
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Peer& peer = s->peers[hello.pe];
  (hello.kind == ANSWERS ? peer.answers : (hello.kind == DATA_OF_CALLED) == is_called ? peer.out : peer.in) = connection;
}

// Three connections with each PE, since one for data of both directions would have one lock in the kernel, for which the
// sender and the receiver would wait. This PE calls those before it and is called by those behind it.
static int connect_peers(Transport* t, State* s) {
  const char* named = getenv("LAB_INTERFACE");
  const char* interface = named ? named : "eth0";
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  socklen_t length = sizeof own;
  own.sin_family = AF_INET, own.sin_addr.s_addr = own_address(interface);
  if (own.sin_addr.s_addr == INADDR_NONE) return SAY("interface %s has no address", interface);
  sockaddr* const address = (sockaddr*)&own;
  if (bind(listener, address, length) || listen(listener, KINDS * t->pes) || getsockname(listener, address, &length))
    return SAY("cannot listen: %s", strerror(errno));
  const Name mine{own.sin_addr.s_addr, own.sin_port};
  std::vector<Name> all(t->pes);
  TRY(t->bootstrap->allgather(&mine, all.data(), sizeof mine, t->bootstrap));
  for (int pe = 0; pe < t->pe; pe++) for (int kind = 0; kind < KINDS; kind++) {
    const int connection = call_up(all[pe], {t->pe, kind});
    if (connection < 0) return SAY("cannot reach PE %d: %s", pe, strerror(errno));
    keep(s, connection, {pe, kind}, false);
  }
  for (int calls = KINDS * (t->pes - 1 - t->pe); calls; calls--) {
    Hello hello;
    const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0 || recv(connection, &hello, sizeof hello, MSG_WAITALL) != sizeof hello)
      return SAY("a PE did not call: %s", strerror(errno));
    keep(s, connection, hello, true);
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
  for (Peer& peer : s->peers) if (peer.in >= 0) {
    CUDA(make_stream(&peer.stream, NON_BLOCKING, HIGHEST_PRIORITY));
    CUDA(make_pinned((void**)&peer.ring, RECEIVING, PORTABLE));
  }
  return 0;
}
