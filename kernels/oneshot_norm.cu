/* collbench
summary = "one hop fused with residual add and RMSNorm: every rank sends its rows to all others; for few rows, and for two ranks"
collective = "all_reduce_rms_norm"
dtypes = ["float16", "bfloat16"]
ops = ["sum"]
order = "flat"
nodes = "one"
cell = "lamport"
wire = "(P-1)*S"
scratch = "P*S"
phases = ["send", "receive", "norm"]
blocks = [1, 2, 4, 8, 16, 32, 64, 128, 256]
threads = [64, 128, 256, 512]
*/
// All-reduce in one step, as in oneshot.cu, then residual add and RMSNorm of whole rows (common/rows.cuh), a row a block.
//
//   1. Send: a thread's cells of a row go to every other rank.
//   2. Receive: wait for these cells of every other rank; add all in order of place, then the residual; round once.
//   3. Norm: the block sums the squares; every thread scales its cells.
//
// T = T0 + L + (P-1) S / B + the sum over a block. While it waits for a row, a thread has already sent its cells of the
// next one and loaded the residual; the weight does not depend on earlier kernels and is loaded while the last still runs.
//
// Ordering: as in oneshot.cu; a thread reads and writes its own cells c of input, output and residual only, so in place
// is safe: it reads its cell of the input (to send it, and to add it) before it writes that of the output.
#include "collbench.cuh"

// Cells received at once, which fit a quarter of a thread's registers: those of PART peers, for AT_ONCE cells of a row.
constexpr int MOST = REGISTERS / 4 / WORDS, PART = PLACES < MOST ? PLACES : MOST;
constexpr int AT_ONCE = MOST / PART < EACH ? MOST / PART : EACH;

template <bool ALIGNED> INLINE void run(const Given& a, Norm norm) {
  using Buffer = Cells<ALIGNED>;
  const Buffer input(a.in), output(a.out), weights(a.weight), residual(a.residual);
  Words weight[EACH];
  const auto load_weight = [&] { UNROLL for (int i = 0; i < EACH; i++) if (has(i)) weight[i] = weights.load(column(i)); };
  if (KEPT) load_weight();
  const Call call = begin_call(a);
  const u32 rows = u32(a.count / COLL_HIDDEN);
  const auto at = [](int place, u32 c) { return Call::offset<PLACES>(place, c); };

  struct Own { Words sent[EACH], old[EACH]; };  // this thread's cells of a row, before the call
  const auto send = [&](u32 row) {
    Own own{};
    if (row >= rows) return own;
    UNROLL for (int i = 0; i < EACH; i++) if (has(i)) own.sent[i] = input.load(row * ROW + column(i));
    if (KEPT) UNROLL for (int i = 0; i < EACH; i++) if (has(i)) own.old[i] = residual.load(row * ROW + column(i));
    UNROLL for (int i = 0; i < EACH; i++) {
      if (!has(i)) continue;
      // Each rank starts with its next neighbour, so that targets differ.
      UNROLL for (int r = 1; r < PLACES; r++)
        call.send((a.place + r) % PLACES, at(a.place, row * ROW + column(i)), own.sent[i]);
    }
    return own;
  };
  const auto receive = [&](u32 row, int first, const Own& own, Words (&r)[EACH]) {
    Words mine[AT_ONCE], old[AT_ONCE];
    Sum total[AT_ONCE];
    const auto cell = [=](int k) { return row * ROW + column(first + k); };
    const auto exists = [=](int k) { return first + k < EACH && has(first + k); };
    UNROLL for (int k = 0; k < AT_ONCE; k++) {
      if (!exists(k)) continue;
      mine[k] = KEPT ? own.sent[first + k] : input.load(cell(k));
      old[k] = KEPT ? own.old[first + k] : residual.load(cell(k));
    }
    UNROLL for (int peer = 0; peer < PLACES; peer += PART) {
      Words got[AT_ONCE * PART];
      call.receive(got,
          [&](int k) {
            const int p = peer + k % PART;
            return p >= PLACES || p == a.place || !exists(k / PART) ? NONE : at(p, cell(k / PART));
          },
          [&](int k) { return Where{EXCHANGE, 0, u32(peer + k % PART)}; });
      UNROLL for (int k = 0; k < AT_ONCE; k++) {
        if (!exists(k)) continue;
        UNROLL for (int p = peer; p < peer + PART && p < PLACES; p++) {
          const Words x = p == a.place ? mine[k] : got[k * PART + p - peer];
          if (p == 0) total[k] = begin_sum(x);
          else add(total[k], x);
        }
      }
    }
    UNROLL for (int k = 0; k < AT_ONCE; k++) {
      if (!exists(k)) continue;
      add(total[k], old[k]);
      r[first + k] = round_sum(total[k]);
      residual.store(cell(k), r[first + k]);
    }
  };

  Own own = send(blockIdx.x);
  mark(a, Mark::send);
  for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
    const Own next = send(row + gridDim.x);  // before it waits for this row, which keeps the links busy
    Words r[EACH];
    UNROLL for (int first = 0; first < EACH; first += AT_ONCE) receive(row, first, own, r);
    mark(a, Mark::receive);
    if (!KEPT) load_weight();
    const float scale = norm.scale(r);
    UNROLL for (int i = 0; i < EACH; i++)
      if (has(i)) output.store(row * ROW + column(i), scaled(r[i], scale, weight[i]));
    mark(a, Mark::norm);
    own = next;
  }
  end_call(call);
}

KERNEL(a) {
  __shared__ Board board;
  if (aligned(a)) run<true>(a, Norm(board));
  else run<false>(a, Norm(board));
}
