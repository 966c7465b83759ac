/* collbench
summary = "reduce-scatter in one hop: every rank sends each of the others its part"
collective = "reduce_scatter"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "flat"
nodes = "one"
cell = "lamport"
wire = "(P-1)*S/P"
scratch = "S"
phases = ["send", "receive"]
blocks = [1, 2, 4, 8, 16, 32, 64, 96, 128]
threads = [128, 256, 512]
defines = {COLL_BATCH = [1, 2, 4]}
*/
// The first half of an all-reduce in one step: T = T0 + L + (P-1)/P S / B.
//
//   1. Send: cell c of every other rank's part of the input goes to that rank.
//   2. Receive: wait for cell c of this rank's part from all others, and add them in order of place, this rank's own
//      included, in fp32 for 16-bit floats, rounded once.
//
// Ordering: a thread writes and reads its own cells c only, and waits for exactly the words that it uses; every rank
// receives from every other in every call, on which the reuse of slots rests (collbench.cuh). In place, the output is
// this rank's part of the input, of which a thread reads its cell before it writes it.
#include "collbench.cuh"

constexpr int BATCH = COLL_BATCH;
// Peers whose cells a thread loads or receives at once: all, or as many as fit into a quarter of its registers.
constexpr int MOST = REGISTERS / 4 / (CELL / 4) / BATCH, PART = PLACES < MOST ? PLACES : MOST < 2 ? 1 : MOST / 2;

struct ReduceScatter {
  const Given& a;
  const Call& call;
  const Output output;

  INLINE ReduceScatter(const Given& given, const Call& c) : a(given), call(c), output(a.out, a.count) {}
  INLINE Input part(int place) const { return Input(a.at(a.in, place), a.count); }
  static INLINE u32 slot(int place, u32 c) { return Call::offset<PLACES>(place, c); }
  INLINE bool exists(u32 c) const { return c < output.cells(); }

  // 1. Each rank starts with its next neighbour, so that targets differ.
  INLINE void send(u32 first) const {
    UNROLL for (int begin = 1; begin < PLACES; begin += PART) {
      Words x[PART][BATCH];
      UNROLL for (int r = 0; r < PART && begin + r < PLACES; r++) {
        const Input theirs = part((a.place + begin + r) % PLACES);
        UNROLL for (int b = 0; b < BATCH; b++)
          if (exists(first + b * blockDim.x)) x[r][b] = theirs.load(first + b * blockDim.x);
      }
      UNROLL for (int r = 0; r < PART && begin + r < PLACES; r++) UNROLL for (int b = 0; b < BATCH; b++) {
        const u32 c = first + b * blockDim.x;
        if (exists(c)) call.send((a.place + begin + r) % PLACES, slot(a.place, c), x[r][b]);
      }
    }
  }
  // 2.
  INLINE void receive(u32 first) const {
    Sum total[BATCH];
    UNROLL for (int begin = 0; begin < PLACES; begin += PART) {
      Words got[PART * BATCH];
      const auto cell = [&](int k) { return first + k % BATCH * blockDim.x; };
      const auto from = [&](int k) { return begin + k / BATCH; };
      call.receive(got,
          [&](int k) {
            const bool comes = from(k) < PLACES && from(k) != a.place && exists(cell(k));
            return comes ? slot(from(k), cell(k)) : NONE;
          },
          [&](int k) { return Where{SCATTERING, 0, u32(from(k))}; });
      UNROLL for (int b = 0; b < BATCH; b++) {
        if (!exists(first + b * blockDim.x)) continue;
        UNROLL for (int i = 0; i < PART && begin + i < PLACES; i++) {
          const Words x = begin + i == a.place ? part(a.place).load(first + b * blockDim.x) : got[i * BATCH + b];
          if (begin + i == 0) total[b] = begin_sum(x);
          else add(total[b], x);
        }
      }
    }
    UNROLL for (int b = 0; b < BATCH; b++)
      if (exists(first + b * blockDim.x)) output.store(first + b * blockDim.x, round_sum(total[b]));
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const ReduceScatter reduce_scatter(a, call);
  const u32 cells = reduce_scatter.output.cells(), span = gridDim.x * blockDim.x * BATCH;
  // A thread sends its next cells before it waits for these, which keeps the links busy.
  u32 c = blockIdx.x * blockDim.x * BATCH + threadIdx.x;
  reduce_scatter.send(c);
  mark(a, Mark::send);
#pragma unroll 1
  for (; c < cells; c += span) {
    reduce_scatter.send(c + span);
    reduce_scatter.receive(c);
  }
  mark(a, Mark::receive);
  end_call(call);
}
