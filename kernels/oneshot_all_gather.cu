/* collbench
summary = "all-gather in one hop: every rank sends its part to all others"
collective = "all_gather"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
nodes = "one"
cell = "lamport"
wire = "(P-1)*S/P"
scratch = "S"
phases = ["send", "receive"]
blocks = [1, 2, 4, 8, 16, 32, 64, 96, 128]
threads = [128, 256, 512]
defines = {COLL_BATCH = [1, 2, 4]}
*/
// The second half of an all-reduce in one step: T = T0 + L + (P-1)/P S / B.
//
//   1. Send: cell c of this rank's part goes to every other rank, and to its place in the output.
//   2. Receive: wait for cell c of all other parts, and store them.
//
// Parts are copied bit by bit, so cells are those that hold any bits. Ordering: a thread writes and reads its own cells
// c only, and waits for exactly the words that it uses; every rank receives from every other in every call, on which the
// reuse of slots rests (collbench.cuh). In place, the input is this rank's part of the output, which receives its own
// bits.
#include "collbench.cuh"

constexpr int BATCH = COLL_BATCH;
// Peers whose cells a thread receives at once: all, or as many as fit into a quarter of its registers.
constexpr int MOST = REGISTERS / 4 / (CELL / 4) / BATCH, PART = PLACES < MOST ? PLACES : MOST < 2 ? 1 : MOST / 2;

struct AllGather {
  const Given& a;
  const Call& call;
  const Input input;

  INLINE AllGather(const Given& given, const Call& c) : a(given), call(c), input(a.in, a.count) {}
  INLINE Output part(int place) const { return Output(a.at(a.out, place), a.count); }
  static INLINE u32 slot(int place, u32 c) { return Call::offset<PLACES>(place, c); }
  INLINE bool exists(u32 c) const { return c < input.cells(); }

  // 1. Each rank starts with its next neighbour, so that targets differ.
  INLINE void send(u32 first) const {
    Words x[BATCH];
    UNROLL for (int b = 0; b < BATCH; b++) if (exists(first + b * blockDim.x)) x[b] = input.load(first + b * blockDim.x);
    UNROLL for (int b = 0; b < BATCH; b++) {
      const u32 c = first + b * blockDim.x;
      if (!exists(c)) continue;
      UNROLL for (int r = 1; r < PLACES; r++) call.send((a.place + r) % PLACES, slot(a.place, c), x[b]);
      part(a.place).store(c, x[b]);
    }
  }
  // 2.
  INLINE void receive(u32 first) const {
    UNROLL for (int begin = 0; begin < PLACES; begin += PART) {
      Words got[PART * BATCH];
      const auto cell = [&](int k) { return first + k % BATCH * blockDim.x; };
      const auto from = [&](int k) { return begin + k / BATCH; };
      const auto comes = [&](int k) { return from(k) < PLACES && from(k) != a.place && exists(cell(k)); };
      call.receive(got, [&](int k) { return comes(k) ? slot(from(k), cell(k)) : NONE; },
          [&](int k) { return Where{GATHERING, 0, u32(from(k))}; });
      UNROLL for (int k = 0; k < PART * BATCH; k++) if (comes(k)) part(from(k)).store(cell(k), got[k]);
    }
  }
};

KERNEL(a) {
  const Call call = begin_call(a);
  const AllGather all_gather(a, call);
  const u32 cells = all_gather.input.cells(), span = gridDim.x * blockDim.x * BATCH;
  // A thread sends its next cells before it waits for these, which keeps the links busy.
  u32 c = blockIdx.x * blockDim.x * BATCH + threadIdx.x;
  all_gather.send(c);
  mark(a, Mark::send);
#pragma unroll 1
  for (; c < cells; c += span) {
    all_gather.send(c + span);
    all_gather.receive(c);
  }
  mark(a, Mark::receive);
  end_call(call);
}
