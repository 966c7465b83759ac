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
// T = T0 + 2 L + L' + N W M + f (S/G) (2 (G-1) / (R B) + (N-1) / B' + Q (N-1) / C), f = 2; Q, C, W, M and R as in
// nvrar_put.cu, but with batches of 2 from 8 nodes on, since the sums that wait take registers. Against nvrar_put.cu it
// saves log2 N - 1 trips and sends N-1 - log2 N shards more. So it is the faster one while f S/G (N-1 - log2 N) / B' <
// (log2 N - 1) L'. Predicted for trips of 210 us at 10 Gbit/s: up to 131 KB a shard on 4 nodes and 66 KB on 8; on 2
// nodes both are the same.
//
// Ordering: as in nvrar_put.cu.
#define COLL_USES_PUT 1
#include "collbench.cuh"

enum Slots { SCATTER = 0, GATHER = LOCAL, BETWEEN = 2 * LOCAL };  // BETWEEN + m: the sum of node m
enum Boxes { SUM };

constexpr int TOTALS = at_once(CELL / 4 + (STEPS + 1) * WORDS);  // cells of a thread, each with the sums that wait

struct AllReduce : ByPuts {
  using ByPuts::ByPuts;

  // Each rank starts with the next node, so that targets differ.
  INLINE void send() const {
    every_chunk(whole(), [&](Span part) {
      scatter(SCATTER, part);
      keep_each<PART>(SUM, owned(part), [&](auto& sum, auto batch) { node_sum(sum, SCATTER, batch); });
#pragma unroll 1
      for (int n = 1; n < NODES; n++) put(owned(part), place_of((node + n) % NODES, me), BETWEEN + node, SUM);
    });
    mark(call.a, Mark::reduce_scatter);
  }
  INLINE void finish() const {
    every_chunk(whole(), [&](Span part) {
      every_batch<TOTALS>(owned(part), [&](Batch<TOTALS> batch) {
        Words sum[TOTALS];
        total(sum, batch);
        gather(GATHER, batch, sum);
      });
      mark(call.a, Mark::exchange);
      collect(GATHER, part);
    });
  }
  INLINE void of_node(int m, Words (&sum)[TOTALS], Batch<TOTALS> batch) const {
    if (m == node) kept(sum, SUM, batch);
    else receive(sum, BETWEEN + m, batch, {EXCHANGE, 0, u32(place_of(m, me))});
  }
  // Recursive doubling, in one thread: nodes come in turn, and sums of 2^k nodes wait in pending[k] for their partner.
  INLINE void total(Words (&sum)[TOTALS], Batch<TOTALS> batch) const {
    Words pending[STEPS + 1][TOTALS];
#pragma unroll 1
    for (int m = 0; m < CORE; m++) {
      of_node(m, sum, batch);
      if (m < EXTRA) {
        Words theirs[TOTALS];
        of_node(m + CORE, theirs, batch);
        merge(sum, theirs);
      }
      bool paired = true;
      UNROLL for (int k = 0; k < STEPS; k++) {
        if (!paired) continue;
        paired = m >> k & 1;
        UNROLL for (int b = 0; b < TOTALS; b++) {
          if (paired) sum[b] = add_pair(pending[k][b], sum[b]);
          else pending[k][b] = sum[b];
        }
      }
    }
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both
  const Input input(a.in, a.count, both);
  const Output output(a.out, a.count, both);
  const AllReduce all_reduce(call, input, output);
  if constexpr (NODES == 1) all_reduce.alone(SCATTER, GATHER);
  else {
    all_reduce.send();
    all_reduce.finish();
  }
  mark(a, Mark::all_gather);
  end_call(call);
}
