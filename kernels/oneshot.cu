/* collbench
summary = "one-shot: every rank sends everything to all others; for small messages, and for two ranks"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "int32"]
ops = ["sum", "min", "max"]
order = "flat"
nodes = "one"
cell = "lamport"
wire = "(P-1)*S"
scratch = "P*S"
phases = ["send", "receive"]
blocks = [1, 2, 4, 8, 16, 32, 64, 128]
threads = [128, 256, 512]
*/
// All-reduce in one hop: T = T0 + L + (P-1) S / B (T0 launch, L store to sight, B bandwidth out of a rank).
//
//   1. Give: cell c of the input goes to every other rank.
//   2. Take: wait for cell c of every other rank and add all of them in the order of places, this rank's own among
//      them, in fp32 for 16-bit floats, rounded once. All ranks add the same numbers in the same order: the same bits.
//
// Ordering: every thread reads and writes only its own cells c, and waits for the very words that it uses; reuse of
// slots is argued in collbench.cuh. In place is right because a thread has read its cell of the input before it writes
// it.
#include "collbench.cuh"

// Peers whose cells a thread receives at once: all, or as many as fit into half of its registers.
constexpr int MOST = REGISTERS / 2 / (CELL / 4), PART = PLACES < MOST ? PLACES : MOST;

KERNEL(a) {
  const Call call = begin_call(a);
  const u64 both = u64(a.in) | u64(a.out);  // one test of alignment for the two
  const Input input(a.in, a.count, both);
  const Output output(a.out, a.count, both);
  const u32 cells = input.cells(), span = gridDim.x * blockDim.x;
  const auto at = [](int place, u32 c) { return Call::offset<PLACES>(place, c); };

  // 1. Give. Each rank begins with its next neighbour, so that no rank is everybody's first.
  const auto give = [&](u32 c) {
    Words mine{};
    if (c >= cells) return mine;
    mine = input.load(c);
    UNROLL for (int r = 1; r < PLACES; r++) call.send((a.place + r) % PLACES, at(a.place, c), mine);
    return mine;
  };
  // 2. Take.
  const auto take = [&](u32 c, Words mine) {
    Sum total;
    UNROLL for (int first = 0; first < PLACES; first += PART) {
      Words got[PART];
      call.receive(got,
          [&](int k) { return first + k >= PLACES || first + k == a.place ? NONE : at(first + k, c); },
          [&](int k) { return Where{EXCHANGE, 0, u32(first + k)}; });
      UNROLL for (int k = 0; k < PART && first + k < PLACES; k++) {
        const Words x = first + k == a.place ? mine : got[k];
        if (first + k == 0) total = begin_sum(x);
        else add(total, x);
      }
    }
    output.store(c, round_sum(total));
  };

  // A thread gives its next cell before it waits for this one, so the links are busy meanwhile.
  u32 c = blockIdx.x * blockDim.x + threadIdx.x;
  Words mine = give(c);
  mark(a, Mark::send);
  while (c < cells) {
    const Words next = give(c + span);
    take(c, mine);
    mine = next, c += span;
  }
  mark(a, Mark::receive);
  end_call(call);
}
