/* collbench
summary = "one-shot: every rank sends its whole input to all others; for small messages, and for two ranks"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
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
// All-reduce in one step: T = T0 + L + (P-1) S / B (T0 launch, L from store to visibility, B bandwidth out of a rank).
//
//   1. Send: cell c of the input goes to every other rank; (P-1) S bytes.
//   2. Receive: wait for cell c of every other rank and add all of them in order of place, this rank's own included, in
//      fp32 for 16-bit floats, rounded once. All ranks add the same numbers in the same order: the same bits.
//
// Ordering: a thread writes and reads its own cells c only, and waits for exactly the words that it uses; collbench.cuh
// argues the reuse of slots. In place is safe: a thread reads its cell of the input before it writes it.
#include "collbench.cuh"

// Peers whose cells a thread receives at once: all, or as many as fit into half of its registers; one where cells may
// escape, which takes registers as well.
constexpr int MOST = REGISTERS / 2 / (CELL / 4), PART = PLACES < MOST ? PLACES : ESCAPES ? 1 : MOST;

KERNEL(a) {
  const Call call = begin_call(a);
  const u64 both = u64(a.in) | u64(a.out);  // one alignment test for both
  const Input input(a.in, a.count, both);
  const Output output(a.out, a.count, both);
  const u32 cells = input.cells(), span = gridDim.x * blockDim.x;
  const auto at = [](int place, u32 c) { return Call::offset<PLACES>(place, c); };

  // 1. Send. Each rank starts with its next neighbour, so that targets differ.
  const auto send = [&](u32 c) {
    Words mine{};
    if (c >= cells) return mine;
    mine = input.load(c);
    UNROLL for (int r = 1; r < PLACES; r++) call.send((a.place + r) % PLACES, at(a.place, c), mine);
    return mine;
  };
  // 2. Receive.
  const auto receive = [&](u32 c, Words mine) {
    Sum total;
    UNROLL for (int first = 0; first < PLACES; first += PART) {
      Words got[PART];
      call.receive(got,
          [&](int k) { return first + k >= PLACES || first + k == a.place ? NONE : at(first + k, c); },
          [&](int k) { return Where{EXCHANGE, 0, u32(first + k)}; });
      UNROLL for (int k = 0; k < PART && first + k < PLACES; k++) {
        const int p = first + k;
        const Words x = p == a.place ? mine : got[k];
        if (p == 0) total = begin_sum(x);
        else add(total, x);
      }
    }
    output.store(c, round_sum(total));
  };

  // A thread sends its next cell before it waits for this one, which keeps the links busy.
  u32 c = blockIdx.x * blockDim.x + threadIdx.x;
  Words mine = send(c);
  mark(a, Mark::send);
  while (c < cells) {
    const Words next = send(c + span);
    receive(c, mine);
    mine = next, c += span;
  }
  mark(a, Mark::receive);
  end_call(call);
}
