/* collbench
summary = "NVRAR, residual add and RMSNorm in one launch: three phases on Lamport cells; every rank scales all rows"
collective = "all_reduce_rms_norm"
dtypes = ["float16", "bfloat16"]
ops = ["sum"]
order = "nvrar"
nodes = "one"
cell = "lamport"
wire = "(2*(G-1)+ceil(log2(N)))*S/G"
scratch = "(2*G+ceil(log2(N))+2)*S/G"
phases = ["reduce-scatter", "doubling", "all-gather", "norm"]
blocks = [1, 2, 4, 8, 16, 32, 64, 128, 256]
threads = [64, 128, 256, 512]
*/
// The three phases of nvrar_lamport.cu on whole rows, a row a block; the new residual is what is gathered, and then every
// rank normalises the row for itself (common/rows.cuh).
//
//   1. Reduce-scatter in the node: every cell has one owner in each node, which adds it in order of index, in fp32.
//   2. Doubling between nodes, as in nvrar_ll.cu. The residual is one more addend of the last addition, before its
//      rounding: on one node of the sum over the node, so the bits are those of oneshot_norm.cu; else of the last step.
//   3. All-gather in the node, of the new residual; the block sums its squares, every thread scales its cells.
//
// Owners have columns, not rows: 32 consecutive cells of the message, those of a warp, belong to one rank of the node, the
// next 32 to the next. So even one row keeps every rank and link busy (with whole rows, its owner alone would receive
// and send (G-1) S), and one thread handles a cell from the input to the output on every rank: only sums of squares pass
// between threads. Scaling a row is cheaper than another exchange, so no rank does it for others.
//
// Rounds overlap: while a thread sends row r, it reduces row r-1 and normalises row r-2. T = T0 + (2 + log2 N) L +
// (2 (G-1) + log2 N) S / (G B) + the sum over a block. The weight is loaded while the previous kernel still runs.
//
// Ordering: as in nvrar_ll.cu; a thread handles its cells of every row from start to end. An owner stores its cells of
// the new residual and loads them when it normalises: its own stores to its own memory. The residual of other owners'
// cells is not read, but overwritten: all ranks have the same.
#include "collbench.cuh"

enum Slots { SCATTER = 0, GATHER = LOCAL, DOUBLING = 2 * LOCAL, FOLD = DOUBLING + STEPS, UNFOLD, SLOTS };
constexpr u32 UNIT = 32;  // consecutive cells with one owner
// Cells of a row that a thread reduces at once: all, or as many as it can receive of all local ranks with a third of its
// registers.
constexpr int MOST = REGISTERS / 3 / WORDS / LOCAL, PART = MOST < 1 ? 1 : MOST < EACH ? MOST : EACH;

template <bool ALIGNED> struct Fused {
  using Buffer = Cells<ALIGNED>;
  const Call& call;
  const Buffer input, output, weights, residual;
  const int node, me;
  const u32 rows;

  INLINE explicit Fused(const Call& c, const Given& a)
      : call(c), input(a.in), output(a.out), weights(a.weight), residual(a.residual), node(a.place / LOCAL),
        me(a.place % LOCAL), rows(u32(a.count / COLL_HIDDEN)) {}

  // Cell c of the message: its owner's index in a node, and its offset in a slot, which holds the cells of one owner.
  static INLINE int owner(u32 c) { return c / UNIT % LOCAL; }
  static INLINE u32 slot(int index, u32 c) { return Call::offset<SLOTS>(index, c / UNIT / LOCAL * UNIT + c % UNIT); }
  static INLINE u32 cell(u32 row, int i) { return row * ROW + column(i); }

  // Phase 1, sending side.
  INLINE void scatter(u32 row) const {
    Words x[EACH];
    UNROLL for (int i = 0; i < EACH; i++) if (has(i)) x[i] = input.load(cell(row, i));
    UNROLL for (int i = 0; i < EACH; i++) {
      const u32 c = cell(row, i);
      if (has(i) && owner(c) != me) call.send(place_of(node, owner(c)), slot(SCATTER + me, c), x[i]);
    }
  }

  // The cells of a batch: this rank's own among `first`, `first` + 1, ... of this thread's of a row.
  struct Batch {
    u32 row;
    int first;
    INLINE u32 cell(int b) const { return Fused::cell(row, first + b); }
  };
  INLINE bool owns(const Batch& batch, int b) const {
    return batch.first + b < EACH && has(batch.first + b) && owner(batch.cell(b)) == me;
  }
  INLINE void send(const Batch& batch, const Words (&x)[PART], int to, int index) const {
    UNROLL for (int b = 0; b < PART; b++) if (owns(batch, b)) call.send(to, slot(index, batch.cell(b)), x[b]);
  }
  INLINE void receive(const Batch& batch, Words (&x)[PART], int index, Where from) const {
    call.receive(x, [&](int b) { return owns(batch, b) ? slot(index, batch.cell(b)) : NONE; }, [&](int) { return from; });
  }

  // Phases 1 and 2 of the owner, and the sending side of phase 3.
  INLINE void reduce(const Batch& batch) const {
    Words own[PART], old[PART], got[LOCAL * PART], sum[PART];
    UNROLL for (int b = 0; b < PART; b++) {
      own[b] = old[b] = Words{};
      if (owns(batch, b)) own[b] = input.load(batch.cell(b)), old[b] = residual.load(batch.cell(b));
    }
    call.receive(got,
        [&](int k) {
          const int g = k / PART;
          return g != me && owns(batch, k % PART) ? slot(SCATTER + g, batch.cell(k % PART)) : NONE;
        },
        [&](int k) { return Where{SCATTERING, 0, u32(place_of(node, k / PART))}; });
    UNROLL for (int b = 0; b < PART; b++) {
      Sum total;
      UNROLL for (int g = 0; g < LOCAL; g++) {
        const Words x = g == me ? own[b] : got[g * PART + b];
        if (g == 0) total = begin_sum(x);
        else add(total, x);
      }
      if (NODES == 1) add(total, old[b]);
      sum[b] = round_sum(total);
    }
    mark(call.a, Mark::reduce_scatter);
    if constexpr (NODES > 1) reduce_between_nodes(batch, sum, old);
    UNROLL for (int g = 1; g < LOCAL; g++) send(batch, sum, place_of(node, (me + g) % LOCAL), GATHER + me);
    UNROLL for (int b = 0; b < PART; b++) if (owns(batch, b)) residual.store(batch.cell(b), sum[b]);
  }
  INLINE void reduce_between_nodes(const Batch& batch, Words (&sum)[PART], const Words (&old)[PART]) const {
    Words theirs[PART];
    if (node >= CORE) {
      const int partner = place_of(node - CORE, me);
      send(batch, sum, partner, FOLD);
      receive(batch, sum, UNFOLD, {FOLDING_OUT, 0, u32(partner)});
      return;
    }
    const int extra = place_of(node + CORE, me);
    if (node < EXTRA) {
      receive(batch, theirs, FOLD, {FOLDING_IN, 0, u32(extra)});
      UNROLL for (int b = 0; b < PART; b++) sum[b] = add_pair(sum[b], theirs[b]);
    }
    UNROLL for (int k = 0; k < STEPS; k++) {
      const int partner = place_of(node ^ (1 << k), me);
      send(batch, sum, partner, DOUBLING + k);
      receive(batch, theirs, DOUBLING + k, {STEP, u32(k), u32(partner)});
      UNROLL for (int b = 0; b < PART; b++) {
        Sum total = begin_sum(sum[b]);
        add(total, theirs[b]);
        if (k == STEPS - 1) add(total, old[b]);
        sum[b] = round_sum(total);
      }
      mark(call.a, Mark::doubling + k);
    }
    if (node < EXTRA) send(batch, sum, extra, UNFOLD);
  }

  // Phase 3, receiving side: this thread's cells of the new residual.
  INLINE void collect(u32 row, Words (&r)[EACH]) const {
    const auto mine = [=](int i) { return owner(cell(row, i)) == me; };
    call.receive(r,
        [&](int i) { return !has(i) || mine(i) ? NONE : slot(GATHER + owner(cell(row, i)), cell(row, i)); },
        [&](int i) { return Where{GATHERING, 0, u32(place_of(node, owner(cell(row, i))))}; });
    UNROLL for (int i = 0; i < EACH; i++) {
      if (!has(i)) continue;
      if (mine(i)) r[i] = residual.load(cell(row, i));
      else residual.store(cell(row, i), r[i]);
    }
    mark(call.a, Mark::all_gather);
  }
};

template <bool ALIGNED> INLINE void run(const Given& a, Norm norm) {
  Words weight[EACH];
  const Cells<ALIGNED> weights(a.weight);
  const auto load_weight = [&] { UNROLL for (int i = 0; i < EACH; i++) if (has(i)) weight[i] = weights.load(column(i)); };
  if (KEPT) load_weight();
  const Call call = begin_call(a);
  const Fused<ALIGNED> fused(call, a);
  const u32 rows = fused.rows, all = gridDim.x;
#pragma unroll 1
  for (u32 row = blockIdx.x; row < rows + 2 * all; row += all) {
    if (row < rows) fused.scatter(row);
    if (row >= all && row - all < rows)
      UNROLL for (int first = 0; first < EACH; first += PART) fused.reduce({row - all, first});
    if (row < 2 * all) continue;
    if (!KEPT) load_weight();
    Words r[EACH];
    fused.collect(row - 2 * all, r);
    const float scale = norm.scale(r);
    UNROLL for (int i = 0; i < EACH; i++)
      if (has(i)) fused.output.store(fused.cell(row - 2 * all, i), scaled(r[i], scale, weight[i]));
    mark(a, Mark::norm);
  }
  end_call(call);
}

KERNEL(a) {
  __shared__ Board board;
  if (aligned(a)) run<true>(a, Norm(board));
  else run<false>(a, Norm(board));
}
