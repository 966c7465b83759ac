/* collbench
summary = "NVRAR, plain: reduce-scatter in the node, recursive doubling between nodes, all-gather; flagged cells (LL)"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "one"
cell = "ll"
wire = "(2*(G-1)+ceil(log2(N)))*S/G"
scratch = "(2*G+ceil(log2(N))+2)*S/G"
phases = ["reduce-scatter", "doubling", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64, 128]
threads = [256, 512]
*/
// All-reduce in three phases, fused in one launch, for N nodes of G ranks (arXiv 2511.09557). Rank (n, g) owns shard g.
//
//   1. Reduce-scatter in the node: every rank sends cell c of shard g to rank (n, g), which adds the G of them in order
//      of index, in fp32 for 16-bit floats, rounded once; (G-1) S/G bytes.
//   2. Recursive doubling between nodes: in step k, ranks (n, g) and (n xor 2^k, g) exchange their partial sums and add
//      them, with one rounding; both add the same two numbers. Where N is no power of two, the nodes beyond the largest
//      one first fold their sums into a partner and receive the result from it at the end; log2(N) S/G bytes.
//   3. All-gather in the node: the owner sends the result to the other G-1 ranks; (G-1) S/G bytes.
//
// T = T0 + (2 + log2 N) L + f (2 (G-1) + log2 N) S / (G B), f = 2: half of a flagged cell is flag.
//
// Ordering: a thread handles cell c of every shard from start to end and waits for exactly the cells that it uses; no
// thread waits for another thread or block of its rank. Every phase, step and sender has its own slot; collbench.cuh
// argues the reuse of slots. In place is safe: the thread that writes an element is the one that has read it.
#include "collbench.cuh"

enum Slots { SCATTER = 0, GATHER = LOCAL, DOUBLING = 2 * LOCAL, FOLD = DOUBLING + STEPS, UNFOLD, SLOTS };

KERNEL(a) {
  const Call call = begin_call(a);
  const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both
  const Input input(a.in, a.count, both);
  const Output output(a.out, a.count, both);
  const Shards shards(a, input);
  const int node = shards.node, me = shards.me;
  const u32 threads = gridDim.x * blockDim.x;
  const auto slot = [](int index, u32 c) { return Call::offset<SLOTS>(index, c); };

  for (u32 c = blockIdx.x * blockDim.x + threadIdx.x; c < shards.size; c += threads) {
    const auto exists = [&](int g) { return shards.cell(g, c) < shards.cells; };  // c < size holds
    const auto exchange = [&](Words mine, int partner, int index, u32 step) {
      call.send(partner, slot(index, c), mine);
      return add_pair(mine, call.receive_one(slot(index, c), {STEP, step, u32(partner)}));
    };

    // 1. Reduce-scatter. Each rank starts with its next neighbour, so that targets differ.
    UNROLL for (int r = 1; r < LOCAL; r++) {
      const int g = (me + r) % LOCAL;
      if (exists(g)) call.send(place_of(node, g), slot(SCATTER + me, c), input.load(shards.cell(g, c)));
    }
    if (exists(me)) {
      const Words own = input.load(shards.cell(me, c));
      Words got[LOCAL];
      call.receive(got,
          [&](int g) { return g == me ? NONE : slot(SCATTER + g, c); },
          [&](int g) { return Where{SCATTERING, 0, u32(place_of(node, g))}; });
      Sum total;
      UNROLL for (int g = 0; g < LOCAL; g++) {
        const Words x = g == me ? own : got[g];
        if (g == 0) total = begin_sum(x);
        else add(total, x);
      }
      Words sum = round_sum(total);
      mark(a, Mark::reduce_scatter);

      // 2. Recursive doubling; the nodes beyond the power of two are folded in before it and served after it.
      if (node >= CORE) {
        call.send(place_of(node - CORE, me), slot(FOLD, c), sum);
        sum = call.receive_one(slot(UNFOLD, c), {FOLDING_OUT, 0, u32(place_of(node - CORE, me))});
      } else {
        if (node < EXTRA) {
          sum = add_pair(sum, call.receive_one(slot(FOLD, c), {FOLDING_IN, 0, u32(place_of(node + CORE, me))}));
        }
        UNROLL for (int k = 0; k < STEPS; k++) {
          sum = exchange(sum, place_of(node ^ (1 << k), me), DOUBLING + k, k);
          mark(a, Mark::doubling + k);
        }
        if (node < EXTRA) call.send(place_of(node + CORE, me), slot(UNFOLD, c), sum);
      }

      // 3. All-gather.
      UNROLL for (int r = 1; r < LOCAL; r++) call.send(place_of(node, (me + r) % LOCAL), slot(GATHER + me, c), sum);
      output.store(shards.cell(me, c), sum);
    }
    UNROLL for (int r = 1; r < LOCAL; r++) {
      const int g = (me + r) % LOCAL;
      if (!exists(g)) continue;
      output.store(shards.cell(g, c), call.receive_one(slot(GATHER + g, c), {GATHERING, 0, u32(place_of(node, g))}));
    }
    mark(a, Mark::all_gather);
  }
  end_call(call);
}
