/* collbench
summary = "NVRAR where nodes reach each other by puts only: packed chunks, one put each, pipelined; flagged cells (LL)"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "any"
cell = "ll"
tile = 1024                      # a chunk, one cell per thread, is contiguous for its put
wire = "(2*(G-1)+ceil(log2(N)))*S/G"
scratch = "(2*G+2*ceil(log2(N))+4)*S/G"
phases = ["reduce-scatter", "doubling", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
*/
// Algorithm and order of additions are those of nvrar_ll.cu. Between nodes there are no loads and stores: a block packs
// a chunk of cells, one per thread, into an outbox in its own scratch and sends it with one put.
//
// Every phase covers all chunks of a block before the next one begins, so the put of one chunk is in flight while the
// next is added and packed. Between phases, a thread's partial sum stays in its cell of the outbox.
//
// T = T0 + 2 L + log2 N L' + f (S/G) (2 (G-1) / B + log2 N / B'), f = 2; L' and B' are the network's.
//
// Ordering: a put may arrive in any order and in pieces of 8 bytes; each half of a cell carries its flag. A barrier of
// the block precedes its put, which reads what all threads packed. An outbox slot is overwritten two calls later; by
// then its target has read the cells (see collbench.cuh), so the kernel waits for no put.
#define COLL_USES_PUT 1
#include "collbench.cuh"
static_assert(TILE % COLL_THREADS == 0, "a chunk would cross a tile");

enum Slots {
  SCATTER = 0, GATHER = LOCAL, DOUBLING = 2 * LOCAL, FOLD = DOUBLING + STEPS, UNFOLD,
  OUTBOX, FOLDED = OUTBOX + STEPS, UNFOLDED, SLOTS  // outboxes: of the doubling steps, of folding in and out
};

struct AllReduce : Shards {
  const Call& call;
  const Input& input;
  const Output& output;
  u32 mine;  // cells of the shard that this rank owns

  INLINE AllReduce(const Call& c, const Input& in, const Output& out)
      : Shards(c.a, in), call(c), input(in), output(out) {
    const u32 begin = cell(me, 0);
    mine = begin >= cells ? 0 : cells - begin < size ? cells - begin : size;
  }
  static INLINE u32 slot(int index, u32 c) { return Call::offset<SLOTS>(index, c); }

  // For every chunk of this block: `work(c)` on each thread's cell, then, with `to` >= 0, a put of the chunk to there.
  template <class Work> INLINE void every_chunk(Work work, int to = -1, int index = 0, int outbox = 0) const {
    for (u32 first = blockIdx.x * blockDim.x; first < size; first += gridDim.x * blockDim.x) {
      work(first + threadIdx.x);
      if (to < 0 || first >= mine) continue;
      const u32 chunk = mine - first < blockDim.x ? mine - first : blockDim.x;
      put_cells(call, to, slot(index, first), slot(outbox, first), chunk);
    }
  }
  INLINE void keep(int outbox, u32 c, Words x) const { call.send(place, slot(outbox, c), x); }
  INLINE Words kept(int outbox, u32 c) const { return unpack(load_cell(call.own + slot(outbox, c))); }
  INLINE Words receive(int index, u32 c, Where from) const { return call.receive_one(slot(index, c), from); }

  // 1. Reduce-scatter in the node.
  INLINE void scatter(u32 c) const {
    UNROLL for (int r = 1; r < LOCAL; r++) {
      const int g = (me + r) % LOCAL;
      if (exists(g, c)) call.send(place_of(node, g), slot(SCATTER + me, c), input.load(cell(g, c)));
    }
  }
  INLINE Words reduce(u32 c) const {
    Sum total;
    UNROLL for (int g = 0; g < LOCAL; g++) {
      const Where from{SCATTERING, 0, u32(place_of(node, g))};
      const Words x = g == me ? input.load(cell(me, c)) : receive(SCATTER + g, c, from);
      if (g == 0) total = begin_sum(x);
      else add(total, x);
    }
    return round_sum(total);
  }

  // 3. All-gather in the node.
  INLINE void gather(u32 c, Words sum) const {
    UNROLL for (int r = 1; r < LOCAL; r++) call.send(place_of(node, (me + r) % LOCAL), slot(GATHER + me, c), sum);
    output.store(cell(me, c), sum);
  }
  INLINE void collect(u32 c) const {
    UNROLL for (int r = 1; r < LOCAL; r++) {
      const int g = (me + r) % LOCAL;
      if (exists(g, c)) output.store(cell(g, c), receive(GATHER + g, c, {GATHERING, 0, u32(place_of(node, g))}));
    }
  }

  // 2. Between nodes, for the nodes beyond the power of two: send the sum, receive the result.
  INLINE void fold_away() const {
    const int partner = place_of(node - CORE, me);
    every_chunk([&](u32 c) { if (c < mine) keep(FOLDED, c, reduce(c)); }, partner, FOLD, FOLDED);
    every_chunk([&](u32 c) { if (c < mine) gather(c, receive(UNFOLD, c, {FOLDING_OUT, 0, u32(partner)})); });
  }
  // The input of doubling step 0.
  INLINE Words folded(u32 c) const {
    const Words sum = reduce(c);
    return node < EXTRA ? add_pair(sum, receive(FOLD, c, {FOLDING_IN, 0, u32(place_of(node + CORE, me))})) : sum;
  }
  // The sum after doubling step k.
  INLINE Words doubled(int k, u32 c) const {
    return add_pair(kept(OUTBOX + k, c), receive(DOUBLING + k, c, {STEP, u32(k), u32(place_of(node ^ (1 << k), me))}));
  }
  INLINE void double_up() const {
    every_chunk([&](u32 c) { if (c < mine) keep(OUTBOX, c, folded(c)); }, place_of(node ^ 1, me), DOUBLING, OUTBOX);
    mark(call.a, Mark::reduce_scatter);
    for (int k = 1; k < STEPS; k++) {
      const auto step = [&](u32 c) { if (c < mine) keep(OUTBOX + k, c, doubled(k - 1, c)); };
      every_chunk(step, place_of(node ^ (1 << k), me), DOUBLING + k, OUTBOX + k);
      mark(call.a, Mark::doubling + (k - 1));
    }
    const auto finish = [&](u32 c) {
      if (c >= mine) return;
      const Words sum = doubled(STEPS - 1, c);
      if (node < EXTRA) keep(UNFOLDED, c, sum);
      gather(c, sum);
    };
    if (node < EXTRA) every_chunk(finish, place_of(node + CORE, me), UNFOLD, UNFOLDED);
    else every_chunk(finish);
    mark(call.a, Mark::doubling + (STEPS - 1));
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both
  const Input input(a.in, a.count, both);
  const Output output(a.out, a.count, both);
  const AllReduce all_reduce(call, input, output);
  all_reduce.every_chunk([&](u32 c) { all_reduce.scatter(c); });
  if constexpr (NODES == 1) {
    all_reduce.every_chunk([&](u32 c) { if (c < all_reduce.mine) all_reduce.gather(c, all_reduce.reduce(c)); });
    mark(a, Mark::reduce_scatter);
  }
  else if (all_reduce.node >= CORE) all_reduce.fold_away();
  else all_reduce.double_up();
  all_reduce.every_chunk([&](u32 c) { all_reduce.collect(c); });
  mark(a, Mark::all_gather);
  end_call(call);
}
