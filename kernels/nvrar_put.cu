/* collbench
summary = "NVRAR where nodes reach each other by puts only: packed chunks, one put each, pipelined; flagged cells (LL)"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "any"
cell = "ll"
wire = "(2*(G-1)+ceil(log2(N)))*S/G"
scratch = "(2*G+ceil(log2(N))+2)*S/G"
outbox = "ceil(log2(N))*S/G"
phases = ["reduce-scatter", "doubling", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
defines = {COLL_CHUNK = [64, 256, 16, 4]}  # KiB of a put, at most
*/
// Algorithm and order of additions are those of nvrar_ll.cu. Between nodes there are no loads and stores: a block packs
// chunks of cells into the outbox in its own scratch and sends each with one put (common/nodes.cuh).
//
// Every phase covers all chunks of a block before the next one begins, so the put of one chunk is in flight while the
// next is added and packed. Between phases, a thread's partial sum stays in its cell of the outbox.
//
// T = T0 + 2 L + log2 N L' + f (S/G) (2 (G-1) / B + log2 N / B' + Q log2 N / C)
//
// f = 2 for flagged cells and 1 for Lamport cells; L' and B' are the network's; Q is what a put costs the proxy, which
// handles them one by one, and C the bytes of a chunk. Predicted for 2 nodes of one rank at 200 us and 10 Gbit/s, where
// wire and trip are 210 us + f S 8 / 10 Gbit/s: with flags 217, 262 and 3,565 us at 4 KiB, 32 KiB and 2 MiB, without
// flags 213, 236 and 1,888. Without flags 32 KiB take 1 put, rather than the 8 of flagged chunks of 8 KiB, and 2 MiB
// take 32 rather than 512.
//
// Ordering: a put may arrive in any order and in pieces, as common/put.cuh asks of a network. A barrier of the block
// precedes it, since it reads what all threads packed. The outbox of a call is overwritten two calls later; by then the
// targets have read the cells (collbench.cuh), so the kernel waits for no put.
#define COLL_USES_PUT 1
#include "collbench.cuh"

enum Slots { SCATTER = 0, GATHER = LOCAL, DOUBLING = 2 * LOCAL, FOLD = DOUBLING + STEPS, UNFOLD };
enum Boxes { FOLDED = 0, DOUBLED = 0, UNFOLDED = STEPS };  // a node that folds does not double

struct AllReduce : ByPuts {
  using ByPuts::ByPuts;

  // For the nodes beyond the power of two: send the sum, receive the result.
  INLINE void fold_away() const {
    const int partner = place_of(node - CORE, me);
    put_each(owned(), partner, FOLD, FOLDED, [&](u32 c) { return node_sum(SCATTER, c); });
    every_cell(owned(), [&](u32 c) { gather(GATHER, c, receive(UNFOLD, c, {FOLDING_OUT, 0, u32(partner)})); });
  }
  // The input of doubling step 0.
  INLINE Words folded(u32 c) const {
    const Words sum = node_sum(SCATTER, c);
    return node < EXTRA ? add_pair(sum, receive(FOLD, c, {FOLDING_IN, 0, u32(place_of(node + CORE, me))})) : sum;
  }
  // The sum after doubling step k.
  INLINE Words doubled(int k, u32 c) const {
    return add_pair(kept(DOUBLED + k, c), receive(DOUBLING + k, c, {STEP, u32(k), u32(place_of(node ^ (1 << k), me))}));
  }
  INLINE void double_up() const {
    put_each(owned(), place_of(node ^ 1, me), DOUBLING, DOUBLED, [&](u32 c) { return folded(c); });
    mark(call.a, Mark::reduce_scatter);
    for (int k = 1; k < STEPS; k++) {
      const int partner = place_of(node ^ (1 << k), me);
      put_each(owned(), partner, DOUBLING + k, DOUBLED + k, [&](u32 c) { return doubled(k - 1, c); });
      mark(call.a, Mark::doubling + (k - 1));
    }
    const auto finish = [&](u32 c) {
      const Words sum = doubled(STEPS - 1, c);
      gather(GATHER, c, sum);
      return sum;
    };
    if (node < EXTRA) put_each(owned(), place_of(node + CORE, me), UNFOLD, UNFOLDED, finish);
    else every_cell(owned(), finish);
    mark(call.a, Mark::doubling + (STEPS - 1));
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both
  const Input input(a.in, a.count, both);
  const Output output(a.out, a.count, both);
  const AllReduce all_reduce(call, input, output);
  all_reduce.scatter(SCATTER);
  if constexpr (NODES == 1) all_reduce.alone(SCATTER, GATHER);
  else if (all_reduce.node >= CORE) all_reduce.fold_away();
  else all_reduce.double_up();
  all_reduce.collect(GATHER);
  mark(a, Mark::all_gather);
  end_call(call);
}
