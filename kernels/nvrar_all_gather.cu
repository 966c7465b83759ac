/* collbench
summary = "all-gather where nodes reach each other by puts only: one put to each node, then to the ranks of the node"
collective = "all_gather"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
nodes = "any"
cell = "ll"
tile = 1024                      # a chunk, one cell per thread, is contiguous for its put
wire = "(P-1)*S/P"
scratch = "(P+N+1)*S/P"
phases = ["exchange", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
*/
// Every rank ends with the parts of all N nodes of G ranks.
//
//   1. Exchange between nodes: rank (n, g) puts its part to its twins (m, g) on all other nodes m; (N-1) S/P bytes.
//   2. All-gather in the node: it sends its own part, and those of its twins as they come, to the other ranks of its
//      node; (G-1) N S/P bytes.
//
// T = T0 + L' + L + f S ((N-1)/P / B' + (G-1)/G / B), f = 2; L' and B' are the network's.
//
// Ordering: within a node a thread waits for exactly the cells that it uses. A block packs a chunk of cells, one per
// thread, into an outbox in its own scratch, meets, and sends it with one put to each node, which may arrive in any
// order and in pieces of 8 bytes: each half of a cell carries its flag. The outbox is overwritten two calls later; by
// then its targets have read the cells (collbench.cuh), so the kernel waits for no put. In place, the input is this
// rank's part of the output, which receives its own bits.
#define COLL_USES_PUT 1
#include "collbench.cuh"
static_assert(TILE % COLL_THREADS == 0, "a chunk would cross a tile");

enum Slots { GATHER = 0, BETWEEN = PLACES, OUTBOX = BETWEEN + NODES, SLOTS };

struct AllGather {
  const Given& a;
  const Call& call;
  const Input input;
  const int node, me;

  INLINE AllGather(const Given& given, const Call& c)
      : a(given), call(c), input(a.in, a.count), node(a.place / LOCAL), me(a.place % LOCAL) {}
  INLINE Output part(int place) const { return Output(a.at(a.out, place), a.count); }
  static INLINE u32 slot(int index, u32 c) { return Call::offset<SLOTS>(index, c); }

  // 1. Each rank starts with the next node, so that targets differ.
  INLINE void exchange() const {
    const u32 cells = input.cells();
    for (u32 first = blockIdx.x * blockDim.x; first < cells; first += gridDim.x * blockDim.x) {
      const u32 c = first + threadIdx.x, chunk = cells - first < blockDim.x ? cells - first : blockDim.x;
      if (c < cells) call.send(a.place, slot(OUTBOX, c), input.load(c));
      const char* const packed = call.own + slot(OUTBOX, first);
#pragma unroll 1
      for (int n = 1; n < NODES; n++)
        put_cells(call, place_of((node + n) % NODES, me), slot(BETWEEN + node, first), packed, chunk);
    }
  }
  // 2. The part of this rank's twin on node m goes to the ranks of this node.
  INLINE void forward(int m, u32 c) const {
    const int twin = place_of(m, me);
    const Words x = m == node ? input.load(c) : call.receive_one(slot(BETWEEN + m, c), {EXCHANGE, 0, u32(twin)});
    UNROLL for (int r = 1; r < LOCAL; r++) call.send(place_of(node, (me + r) % LOCAL), slot(GATHER + twin, c), x);
    part(twin).store(c, x);
  }
  INLINE void collect(u32 c) const {
#pragma unroll 1
    for (int m = 0; m < NODES; m++) UNROLL for (int r = 1; r < LOCAL; r++) {
      const int g = (me + r) % LOCAL;
      const Where from{GATHERING, u32(m), u32(place_of(node, g))};
      part(place_of(m, g)).store(c, call.receive_one(slot(GATHER + place_of(m, g), c), from));
    }
  }
  template <class Work> INLINE void every_cell(Work work) const {
    for (u32 c = blockIdx.x * blockDim.x + threadIdx.x; c < input.cells(); c += gridDim.x * blockDim.x) work(c);
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const AllGather all_gather(a, call);
  if constexpr (NODES > 1) all_gather.exchange();
  mark(a, Mark::exchange);
#pragma unroll 1
  for (int n = 0; n < NODES; n++)
    all_gather.every_cell([&](u32 c) { all_gather.forward((all_gather.node + n) % NODES, c); });
  all_gather.every_cell([&](u32 c) { all_gather.collect(c); });
  mark(a, Mark::all_gather);
  end_call(call);
}
