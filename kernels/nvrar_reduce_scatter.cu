/* collbench
summary = "reduce-scatter where nodes reach each other by puts only: node sums first, then one put to each node"
collective = "reduce_scatter"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nodes"
nodes = "any"
cell = "ll"
tile = 1024                      # a chunk, one cell per thread, is contiguous for its put
wire = "(P-1)*S/P"
scratch = "(P+2*N)*S/P"
phases = ["reduce-scatter", "exchange"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
*/
// Rank (n, g) ends with part (n, g), for N nodes of G ranks.
//
//   1. Reduce-scatter in the node: every rank sends cell c of the parts (m, g), for every node m, to rank (n, g), which
//      adds the G of them in order of index, in fp32 for 16-bit floats, rounded once; (G-1) N S/P bytes.
//   2. Exchange between nodes: rank (n, g) puts its node's sum of part (m, g) to rank (m, g), which adds the N sums in
//      order of node, rounded once; (N-1) S/P bytes.
//
// T = T0 + L + L' + f S ((G-1)/G / B + (N-1)/P / B'), f = 2; L' and B' are the network's.
//
// Ordering: within a node a thread waits for exactly the cells that it uses. A block packs a chunk of cells, one per
// thread, into an outbox in its own scratch, meets, and sends it with one put, which may arrive in any order and in
// pieces of 8 bytes: each half of a cell carries its flag. An outbox is overwritten two calls later; by then its target
// has read the cells (collbench.cuh), so the kernel waits for no put. In place, the output is this rank's part of the
// input, of which a thread reads its cell, in the last step, before it writes it.
#define COLL_USES_PUT 1
#include "collbench.cuh"
static_assert(TILE % COLL_THREADS == 0, "a chunk would cross a tile");

enum Slots { SCATTER = 0, BETWEEN = PLACES, OUTBOX = BETWEEN + NODES, SLOTS = OUTBOX + NODES };

struct ReduceScatter {
  const Given& a;
  const Call& call;
  const Output output;
  const int node, me;

  INLINE ReduceScatter(const Given& given, const Call& c)
      : a(given), call(c), output(a.out, a.count), node(a.place / LOCAL), me(a.place % LOCAL) {}
  INLINE Input part(int place) const { return Input(a.at(a.in, place), a.count); }
  static INLINE u32 slot(int index, u32 c) { return Call::offset<SLOTS>(index, c); }

  // For every chunk of this block: `work(c, exists)` in each thread, and `then(first, cells)` of the chunk in all.
  template <class Work, class Then> INLINE void every_chunk(Work work, Then then) const {
    const u32 cells = output.cells();
    for (u32 first = blockIdx.x * blockDim.x; first < cells; first += gridDim.x * blockDim.x) {
      if (first + threadIdx.x < cells) work(first + threadIdx.x);
      then(first, cells - first < blockDim.x ? cells - first : blockDim.x);
    }
  }
  // 1.
  INLINE void scatter(u32 c) const {
    UNROLL for (int r = 1; r < LOCAL; r++) {
      const int g = (me + r) % LOCAL;
#pragma unroll 1
      for (int m = 0; m < NODES; m++)
        call.send(place_of(node, g), slot(SCATTER + place_of(m, me), c), part(place_of(m, g)).load(c));
    }
  }
  // The sum of this node for the part of this rank's twin on node m.
  INLINE Words node_sum(int m, u32 c) const {
    Sum total;
    UNROLL for (int g = 0; g < LOCAL; g++) {
      const Where from{SCATTERING, u32(m), u32(place_of(node, g))};
      const Words x = g == me ? part(place_of(m, me)).load(c)
                              : call.receive_one(slot(SCATTER + place_of(m, g), c), from);
      if (g == 0) total = begin_sum(x);
      else add(total, x);
    }
    return round_sum(total);
  }
  // 2. Each rank starts with the next node, so that targets differ.
  INLINE void give(int m) const {
    every_chunk([&](u32 c) { call.send(a.place, slot(OUTBOX + m, c), node_sum(m, c)); },
        [&](u32 first, u32 cells) {
          put_cells(call, place_of(m, me), slot(BETWEEN + node, first), call.own + slot(OUTBOX + m, first), cells);
        });
  }
  INLINE void finish(u32 c) const {
    const Words mine = node_sum(node, c);
    Sum total;
    UNROLL for (int m = 0; m < NODES; m++) {
      const Words x =
          m == node ? mine : call.receive_one(slot(BETWEEN + m, c), {EXCHANGE, 0, u32(place_of(m, me))});
      if (m == 0) total = begin_sum(x);
      else add(total, x);
    }
    output.store(c, round_sum(total));
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const ReduceScatter reduce_scatter(a, call);
  const auto nothing = [](u32, u32) {};
  reduce_scatter.every_chunk([&](u32 c) { reduce_scatter.scatter(c); }, nothing);
#pragma unroll 1
  for (int n = 1; n < NODES; n++) reduce_scatter.give((reduce_scatter.node + n) % NODES);
  mark(a, Mark::reduce_scatter);
  reduce_scatter.every_chunk([&](u32 c) { reduce_scatter.finish(c); }, nothing);
  mark(a, Mark::exchange);
  end_call(call);
}
