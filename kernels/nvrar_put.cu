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
// Every step covers all chunks of a block before the next one begins, so the put of one chunk is in flight while the
// next is added and packed. Between steps, a thread's partial sum stays in its cell of the outbox. The phases in the
// node go along with the first and the last step, chunk by chunk (common/nodes.cuh).
//
// T = T0 + 2 L + log2 N (L' + 2 W M) + f (S/G) (2 (G-1) / (R B) + log2 N / B' + Q log2 N / C)
//
// f = 2 for flagged cells and 1 for Lamport cells; L' and B' are the network's; Q is what a put costs the proxy, which
// handles them one by one, and C the bytes of a chunk. W = C / (16 threads BATCH), rounded up, is how often a thread
// waits for memory, M, to pack or to receive a chunk; R = f S / (G C blocks), rounded up, the chunks of a block, of
// which only the first and the last are not hidden in the node.
//
// Predicted for 2 nodes of one rank at 200 us and 10 Gbit/s, where wire and trip are 210 us + f S 8 / 10 Gbit/s: with
// flags 217, 262 and 3,565 us at 4 KiB, 32 KiB and 2 MiB, without flags 213, 236 and 1,888. Without flags 32 KiB take 1
// put, rather than the 8 of flagged chunks of 8 KiB, and 2 MiB take 32 rather than 512. With M = 0.7 us, batches of 4
// save 8 us a trip from 64 KiB on (W = 2, not 8), 4 us at 32 KiB and none at 4 KiB: little here, but a quarter of the
// time at 32 KiB where a trip is 5 us. In the node, for 64 MiB on 2 nodes of 4 at B = 300 and B' = 25 GB/s, R = 4 hides
// 250 of 1,010 us; at R = 1, up to shards of 4 MiB in 64 chunks, nothing is hidden.
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

  INLINE bool beyond() const { return node >= CORE; }
  INLINE int partner(int k) const { return place_of(node ^ (1 << k), me); }

  // The sums of the node go to the partner of step 0; from the nodes beyond the power of two, to those that stand for
  // them, which add them first.
  INLINE void begin() const {
    const int to = beyond() ? place_of(node - CORE, me) : partner(0), index = beyond() ? FOLD : DOUBLING;
    every_chunk(whole(), [&](Span part) {
      scatter(SCATTER, part);
      keep_each<PART>(DOUBLED, owned(part), [&](auto& sum, auto batch) { folded(sum, batch); });
      put(owned(part), to, index, DOUBLED);
    });
    mark(call.a, Mark::reduce_scatter);
  }
  INLINE void folded(Words (&sum)[PART], Batch<PART> batch) const {
    node_sum(sum, SCATTER, batch);
    if (node >= EXTRA) return;
    Words theirs[PART];
    receive(theirs, FOLD, batch, {FOLDING_IN, 0, u32(place_of(node + CORE, me))});
    merge(sum, theirs);
  }
  // The sums after doubling step k.
  INLINE void doubled(int k, Words (&sum)[BATCH], Batch<BATCH> batch) const {
    Words theirs[BATCH];
    kept(sum, DOUBLED + k, batch);
    receive(theirs, DOUBLING + k, batch, {STEP, u32(k), u32(partner(k))});
    merge(sum, theirs);
  }
  INLINE void double_up() const {
    for (int k = 1; k < STEPS; k++) {
      every_chunk(owned(whole()), [&](Span part) {
        keep_each<BATCH>(DOUBLED + k, part, [&](auto& sum, auto batch) { doubled(k - 1, sum, batch); });
        put(part, partner(k), DOUBLING + k, DOUBLED + k);
      });
      mark(call.a, Mark::doubling + (k - 1));
    }
  }
  // The result comes chunk by chunk, goes to the node, and to the node beyond.
  INLINE void finish() const {
    every_chunk(whole(), [&](Span part) {
      every_batch<BATCH>(owned(part), [&](Batch<BATCH> batch) {
        Words sum[BATCH];
        if (beyond()) receive(sum, UNFOLD, batch, {FOLDING_OUT, 0, u32(place_of(node - CORE, me))});
        else doubled(STEPS - 1, sum, batch);
        gather(GATHER, batch, sum);
        if (node < EXTRA) keep(UNFOLDED, batch, sum);
      });
      if (node < EXTRA) put(owned(part), place_of(node + CORE, me), UNFOLD, UNFOLDED);
      if (!beyond()) mark(call.a, Mark::doubling + (STEPS - 1));
      collect(GATHER, part);
    });
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
    all_reduce.begin();
    if (!all_reduce.beyond()) all_reduce.double_up();
    all_reduce.finish();
  }
  mark(a, Mark::all_gather);
  end_call(call);
}
