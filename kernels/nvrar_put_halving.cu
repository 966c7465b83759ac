/* collbench
summary = "nvrar-put with fewer bytes: recursive halving and doubling between nodes; for large shards; Lamport cells"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "any"
cell = "lamport"
wire = "(2*(G-1)+2-2/2**(-ceil(-log2(N)))+ceil(log2(N))+ceil(-log2(N)))*S/G"
scratch = "(2*G+ceil(log2(N))+3)*S/G"
outbox = "S/G"
phases = ["reduce-scatter", "exchange", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
defines = {COLL_CHUNK = [64, 256, 16, 4]}  # KiB of a put, at most
*/
// Reduce-scatter and all-gather in the node are those of nvrar_put.cu, and so is folding the nodes beyond the power of
// two; the half that stays is collected while the other is on its way back. Between the others, N of them, the shard is
// reduced by halves and gathered by doubles (Rabenseifner):
//
//   halving   In step k, ranks (n, g) and (n xor 2^k, g) share what they still have of the shard: each sends one half
//             of it and adds the other. Pairs are those of recursive doubling, so each cell is added in the same order
//             with the same roundings: the same bits. (N-1)/N S/G bytes.
//   doubling  In steps log2 N - 1 to 0, the same ranks exchange all that they have of the result; (N-1)/N S/G bytes.
//
// T = T0 + 2 L + 2 log2 N (L' + 2 W M) + f (S/G) (2 (G-1) / (R B) + 2 (N-1)/N / B' + Q 2 (N-1)/N / C), f = 1 for
// floats up to 32 bits, else 2; Q, C, W, M and R as in nvrar_put.cu. Against that it sends log2 N - 2 (N-1)/N shards
// less and takes log2 N trips more. Predicted for trips of 210 us at 10 Gbit/s: faster from 1.05 MB a shard on 4 nodes, from 630 KB on
// 8; on 2 nodes never.
//
// Ordering: as in nvrar_put_lamport.cu. One box holds the partial sum of every cell, then its result. A cell is
// overwritten as long as it stays, and put when it leaves; after that, only its result is written, which contains what
// was put: so the put has ended. A result is written once, and put repeatedly. In halving a cell may come in every
// step, so each has a slot; in doubling it comes once.
#define COLL_USES_PUT 1
#include "collbench.cuh"

enum Slots { SCATTER = 0, GATHER = LOCAL, HALVING = 2 * LOCAL, DOUBLING = HALVING + STEPS, FOLD, UNFOLD };
enum Boxes { SHARD };

struct AllReduce : ByPuts {
  using ByPuts::ByPuts;

  INLINE bool beyond() const { return node >= CORE; }
  INLINE int partner(int k) const { return place_of(node ^ (1 << k), me); }
  static INLINE Span half(Span all, bool upper) {
    const u32 middle = all.begin + (all.end - all.begin + 1) / 2;
    return upper ? Span{middle, all.end} : Span{all.begin, middle};
  }
  // What this rank still has after so many halving steps, and what it gives away in step k and gets back in doubling.
  // Of the last shards, which may be shorter, it is what exists: all ranks of a node halve at the same cells.
  INLINE Span left(int steps) const {
    Span all = whole();
    for (int k = 0; k < steps; k++) all = half(all, node >> k & 1);
    return all;
  }
  INLINE Span away(int k) const { return half(left(k), !(node >> k & 1)); }

  INLINE void begin_part(Span part) const {
    scatter(SCATTER, part);
    keep_each<PART>(SHARD, owned(part), [&](auto& sum, auto batch) { folded(sum, batch); });
  }
  INLINE void folded(Words (&sum)[PART], Batch<PART> batch) const {
    node_sum(sum, SCATTER, batch);
    if (node >= EXTRA) return;
    Words theirs[PART];
    receive(theirs, FOLD, batch, {FOLDING_IN, 0, u32(place_of(node + CORE, me))});
    merge(sum, theirs);
  }
  // For the nodes beyond the power of two: send the sum, receive the result.
  INLINE void fold_away() const {
    const int to = place_of(node - CORE, me);
    every_chunk(whole(), [&](Span part) {
      begin_part(part);
      put(owned(part), to, FOLD, SHARD);
    });
    mark(call.a, Mark::reduce_scatter);
    every_chunk(whole(), [&](Span part) {
      every_batch<BATCH>(owned(part), [&](Batch<BATCH> batch) {
        Words sum[BATCH];
        receive(sum, UNFOLD, batch, {FOLDING_OUT, 0, u32(to)});
        gather(GATHER, batch, sum);
      });
      collect(GATHER, part);
    });
  }
  // The sums after halving step k.
  INLINE void halved(int k, Words (&sum)[BATCH], Batch<BATCH> batch) const {
    Words theirs[BATCH];
    kept(sum, SHARD, batch);
    receive(theirs, HALVING + k, batch, {STEP, u32(k), u32(partner(k))});
    merge(sum, theirs);
  }
  // Give away first, so that the network has something to do. `ready(part)` keeps the sums before step k.
  template <class Ready> INLINE void halve(int k, Ready ready) const {
    every_chunk(away(k), [&](Span part) {
      ready(part);
      put(owned(part), partner(k), HALVING + k, SHARD);
    });
    every_chunk(left(k + 1), ready);
  }
  INLINE void halve_down() const {
    halve(0, [&](Span part) { begin_part(part); });
    mark(call.a, Mark::reduce_scatter);
#pragma unroll 1
    for (int k = 1; k < STEPS; k++)
      halve(k, [&](Span part) {
        keep_each<BATCH>(SHARD, owned(part), [&](auto& sum, auto batch) { halved(k - 1, sum, batch); });
      });
  }
  // Results: to the node, and to where puts take them from.
  INLINE void finish(Batch<BATCH> batch, const Words (&sum)[BATCH]) const {
    gather(GATHER, batch, sum);
    keep(SHARD, batch, sum);
  }
  // Cells that were given away in step k come back; steps of doubling count on from those of halving.
  INLINE void come_back(int k, Span part) const {
    every_batch<BATCH>(owned(part), [&](Batch<BATCH> batch) {
      Words sum[BATCH];
      receive(sum, DOUBLING, batch, {STEP, u32(2 * STEPS - 1 - k), u32(partner(k))});
      finish(batch, sum);
    });
  }
  // All that this rank has when step k begins goes to its partner; what came in step k + 1 has only just come.
  INLINE void double_up() const {
    every_chunk(left(STEPS), [&](Span part) {
      every_batch<BATCH>(owned(part), [&](Batch<BATCH> batch) {
        Words sum[BATCH];
        halved(STEPS - 1, sum, batch);
        finish(batch, sum);
      });
      put(owned(part), partner(STEPS - 1), DOUBLING, SHARD);
    });
#pragma unroll 1
    for (int k = STEPS - 2; k >= 0; k--) {
      const Span come = away(k + 1);
      every_chunk(left(k + 1), [&](Span part) {
        come_back(k + 1, part.within(come));
        put(owned(part), partner(k), DOUBLING, SHARD);
      });
    }
  }
  // What has long been there is collected while the rest is on its way.
  INLINE void end() const {
    const auto pass_on = [&](Span part) {
      if (node < EXTRA) put(owned(part), place_of(node + CORE, me), UNFOLD, SHARD);
      mark(call.a, Mark::exchange);
      collect(GATHER, part);
    };
    every_chunk(left(1), pass_on);
    every_chunk(away(0), [&](Span part) {
      come_back(0, part);
      pass_on(part);
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
  else if (all_reduce.beyond()) all_reduce.fold_away();
  else {
    all_reduce.halve_down();
    all_reduce.double_up();
    all_reduce.end();
  }
  mark(a, Mark::all_gather);
  end_call(call);
}
