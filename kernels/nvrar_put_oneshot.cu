/* collbench
summary = "nvrar-put in one trip: every rank puts its shard to all other nodes; for small shards; flagged cells (LL)"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "any"
cell = "ll"
wire = "(2*(G-1)+N-1)*S/G"
scratch = "(2*G+N)*S/G"
outbox = "min(N-1,1)*S/G"
phases = ["reduce-scatter", "exchange", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
defines = {COLL_CHUNK = [64, 256, 16, 4]}  # KiB of a put, at most
*/
// Reduce-scatter and all-gather in the node are those of nvrar_put.cu. Between nodes, rank (n, g) packs its node's sum
// of shard g once and puts it to rank (m, g) of every other node m; (N-1) S/G bytes in one trip. Every rank then has
// the sums of all nodes and adds them itself, in the order of recursive doubling and with its roundings: the same bits.
//
// T = T0 + 2 L + L' + f (S/G) (2 (G-1) / B + (N-1) / B' + Q (N-1) / C), f = 2; Q is what a put costs the proxy, and
// C the bytes of a chunk.
// Against nvrar_put.cu it saves log2 N - 1 trips and sends N-1 - log2 N shards more. So it is the faster one while
// f S/G (N-1 - log2 N) / B' < (log2 N - 1) L'. Predicted for trips of 210 us at 10 Gbit/s: up to 131 KB a shard on 4
// nodes and 66 KB on 8; on 2 nodes both are the same.
//
// Ordering: as in nvrar_put.cu.
#define COLL_USES_PUT 1
#include "collbench.cuh"

enum Slots { SCATTER = 0, GATHER = LOCAL, BETWEEN = 2 * LOCAL };  // BETWEEN + m: the sum of node m
enum Boxes { SUM };

struct AllReduce : ByPuts {
  using ByPuts::ByPuts;

  // Each rank starts with the next node, so that targets differ.
  INLINE void exchange() const {
    every_chunk(owned(), [&](u32 c) { keep(SUM, c, node_sum(SCATTER, c)); },
        [&](Span part) {
#pragma unroll 1
          for (int n = 1; n < NODES; n++) put(part, place_of((node + n) % NODES, me), BETWEEN + node, SUM);
        });
    mark(call.a, Mark::reduce_scatter);
    every_cell(owned(), [&](u32 c) { gather(GATHER, c, total(c)); });
    mark(call.a, Mark::exchange);
  }
  INLINE Words of_node(int m, u32 c) const {
    return m == node ? kept(SUM, c) : receive(BETWEEN + m, c, {EXCHANGE, 0, u32(place_of(m, me))});
  }
  // Recursive doubling, in one thread: nodes come in turn, and sums of 2^k nodes wait in pending[k] for their partner.
  INLINE Words total(u32 c) const {
    Words sum{}, pending[STEPS + 1];
#pragma unroll 1
    for (int m = 0; m < CORE; m++) {
      sum = of_node(m, c);
      if (m < EXTRA) sum = add_pair(sum, of_node(m + CORE, c));
      bool paired = true;
      UNROLL for (int k = 0; k < STEPS; k++) {
        if (!paired) continue;
        paired = m >> k & 1;
        if (paired) sum = add_pair(pending[k], sum);
        else pending[k] = sum;
      }
    }
    return sum;
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
  else all_reduce.exchange();
  all_reduce.collect(GATHER);
  mark(a, Mark::all_gather);
  end_call(call);
}
