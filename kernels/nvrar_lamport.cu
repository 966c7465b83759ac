/* collbench
summary = "NVRAR for bandwidth: the same three phases on Lamport cells (no flags), in batches and pipelined"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "one"
cell = "lamport"
wire = "(2*(G-1)+ceil(log2(N)))*S/G"
scratch = "(2*G+ceil(log2(N))+2)*S/G"
phases = ["reduce-scatter", "doubling", "all-gather"]
blocks = [4, 8, 16, 32, 64, 96, 128]
threads = [256, 512]
defines = {COLL_BATCH = [1, 2]}
*/
// Algorithm, order of additions and slots are those of nvrar_ll.cu. The difference is how bytes move: in whole 16-byte
// cells of data, several of them in flight per thread, and in rounds that overlap: while a thread sends round r of the
// reduce-scatter, it reduces round r-1 and collects round r-2, so the links never wait for a reduction.
//
// T = T0 + (2 + log2 N) L + f (2 (G-1) + log2 N) S / (G B), f = 1 (2 for integers, whose cells are flagged).
//
// Ordering: as in nvrar_ll.cu; a thread handles its cells c of every shard from start to end. In place is safe: a
// thread writes the cells of round r after it has read them as sender (iteration r) and as owner (iteration r + 1).
#include "collbench.cuh"

constexpr int BATCH = COLL_BATCH;
enum Slots { SCATTER = 0, GATHER = LOCAL, DOUBLING = 2 * LOCAL, FOLD = DOUBLING + STEPS, UNFOLD, SLOTS };
// Cells of a batch that are in flight at once: all, or one where those of all local ranks would take more than a third
// of a thread's registers. The compiler would spill what does not fit.
constexpr int PART = BATCH * LOCAL * CELL / 4 <= REGISTERS / 3 ? BATCH : 1;

struct AllReduce : Shards {
  const Call& call;
  const Input& input;
  const Output& output;
  u32 first, row, span;  // this thread's first cell of a shard; from there to its next, and to its next round

  INLINE AllReduce(const Call& c, const Input& in, const Output& out)
      : Shards(c.a, in), call(c), input(in), output(out) {
    row = blockDim.x;
    span = gridDim.x * row * BATCH;
    first = blockIdx.x * row * BATCH + threadIdx.x;
  }
  INLINE u32 rounds() const { return (size + span - 1) / span; }
  INLINE u32 at(u32 round, int b) const { return first + round * span + b * row; }
  static INLINE u32 slot(int index, u32 c) { return Call::offset<SLOTS>(index, c); }

  // Phase 1, sending side. Each rank starts with its next neighbour, so that targets differ.
  INLINE void scatter(u32 round, int part) const {
    Words x[LOCAL][PART];
    UNROLL for (int r = 1; r < LOCAL; r++) UNROLL for (int b = 0; b < PART; b++) {
      const int g = (me + r) % LOCAL;
      const u32 c = at(round, part + b);
      if (exists(g, c)) x[r][b] = input.load(cell(g, c));
    }
    UNROLL for (int r = 1; r < LOCAL; r++) UNROLL for (int b = 0; b < PART; b++) {
      const int g = (me + r) % LOCAL;
      const u32 c = at(round, part + b);
      if (exists(g, c)) call.send(place_of(node, g), slot(SCATTER + me, c), x[r][b]);
    }
  }

  // The cells of one slot in a round.
  INLINE void receive(Words (&x)[BATCH], u32 round, int index, Where from) const {
    call.receive(x,
        [&](int b) { return exists(me, at(round, b)) ? slot(index, at(round, b)) : NONE; },
        [&](int) { return from; });
  }
  INLINE void send(const Words (&x)[BATCH], u32 round, int to, int index) const {
    UNROLL for (int b = 0; b < BATCH; b++)
      if (exists(me, at(round, b))) call.send(to, slot(index, at(round, b)), x[b]);
  }
  INLINE void merge(Words (&sum)[BATCH], const Words (&x)[BATCH]) const {
    UNROLL for (int b = 0; b < BATCH; b++) sum[b] = add_pair(sum[b], x[b]);
  }

  // Phase 1, owner's side: receive the cells of all local ranks at once, then add them in order of index.
  INLINE void reduce_local(Words (&sum)[BATCH], u32 round, int part) const {
    Words own[PART], got[LOCAL * PART];
    UNROLL for (int b = 0; b < PART; b++) {
      own[b] = Words{};
      if (exists(me, at(round, part + b))) own[b] = input.load(cell(me, at(round, part + b)));
    }
    call.receive(got,
        [&](int k) {
          const int g = k / PART;
          const u32 c = at(round, part + k % PART);
          return g != me && exists(me, c) ? slot(SCATTER + g, c) : NONE;
        },
        [&](int k) { return Where{SCATTERING, 0, u32(place_of(node, k / PART))}; });
    UNROLL for (int b = 0; b < PART; b++) {
      Sum total;
      UNROLL for (int g = 0; g < LOCAL; g++) {
        const Words x = g == me ? own[b] : got[g * PART + b];
        if (g == 0) total = begin_sum(x);
        else add(total, x);
      }
      sum[part + b] = round_sum(total);
    }
  }

  // Phase 2.
  INLINE void reduce_between_nodes(Words (&sum)[BATCH], u32 round) const {
    Words theirs[BATCH];
    if (node >= CORE) {
      const int partner = place_of(node - CORE, me);
      send(sum, round, partner, FOLD);
      receive(sum, round, UNFOLD, {FOLDING_OUT, 0, u32(partner)});
      return;
    }
    const int extra = place_of(node + CORE, me);
    if (node < EXTRA) {
      receive(theirs, round, FOLD, {FOLDING_IN, 0, u32(extra)});
      merge(sum, theirs);
    }
    UNROLL for (int k = 0; k < STEPS; k++) {
      const int partner = place_of(node ^ (1 << k), me);
      send(sum, round, partner, DOUBLING + k);
      receive(theirs, round, DOUBLING + k, {STEP, u32(k), u32(partner)});
      merge(sum, theirs);
      mark(call.a, Mark::doubling + k);
    }
    if (node < EXTRA) send(sum, round, extra, UNFOLD);
  }

  // Phases 1 and 2 of the owner, and the sending side of phase 3.
  INLINE void reduce(u32 round) const {
    Words sum[BATCH];
    UNROLL for (int part = 0; part < BATCH; part += PART) reduce_local(sum, round, part);
    mark(call.a, Mark::reduce_scatter);
    if constexpr (NODES > 1) reduce_between_nodes(sum, round);
    UNROLL for (int r = 1; r < LOCAL; r++) send(sum, round, place_of(node, (me + r) % LOCAL), GATHER + me);
    UNROLL for (int b = 0; b < BATCH; b++)
      if (exists(me, at(round, b))) output.store(cell(me, at(round, b)), sum[b]);
  }

  // Phase 3, receiving side.
  INLINE void collect(u32 round, int part) const {
    Words got[LOCAL * PART];
    call.receive(got,
        [&](int k) {
          const int g = k / PART;
          const u32 c = at(round, part + k % PART);
          return g != me && exists(g, c) ? slot(GATHER + g, c) : NONE;
        },
        [&](int k) { return Where{GATHERING, 0, u32(place_of(node, k / PART))}; });
    UNROLL for (int k = 0; k < LOCAL * PART; k++) {
      const int g = k / PART;
      const u32 c = at(round, part + k % PART);
      if (g != me && exists(g, c)) output.store(cell(g, c), got[k]);
    }
    mark(call.a, Mark::all_gather);
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both
  const Input input(a.in, a.count, both);
  const Output output(a.out, a.count, both);
  const AllReduce all_reduce(call, input, output);
  const u32 rounds = all_reduce.rounds();
#pragma unroll 1
  for (u32 r = 0; r < rounds + 2; r++) {
    if (r < rounds) UNROLL for (int part = 0; part < BATCH; part += PART) all_reduce.scatter(r, part);
    if (r >= 1 && r <= rounds) all_reduce.reduce(r - 1);
    if (r >= 2) UNROLL for (int part = 0; part < BATCH; part += PART) all_reduce.collect(r - 2, part);
  }
  end_call(call);
}
