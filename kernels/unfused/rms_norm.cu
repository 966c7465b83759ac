/* collbench
summary = "residual add and RMSNorm of rows that are reduced already: what follows an all-reduce that is not fused with it"
collective = "all_reduce_rms_norm"
dtypes = ["float16", "bfloat16"]
ops = ["sum"]
nodes = "any"
cell = "lamport"
wire = "0*S"
scratch = "0*S"
blocks = [1, 2, 4, 8, 16, 32, 64, 128, 256]
threads = [64, 128, 256, 512]
*/
// The second kernel of the unfused baselines: `in` is the result of an all-reduce, rounded to the element type, and may
// be the same buffer as `out`. A row a block, in the arithmetic of common/rows.cuh; no rank waits for another.
//
// T = T0 + 4 S / HBM + the sum over a block; T0 is hidden where the launch overlaps with that of the all-reduce.
//
// Ordering: the weight does not depend on earlier kernels and is loaded while the last still runs. A thread reads its
// cells of the input and of the residual before it writes them, and no other thread does either.
#include "collbench.cuh"

template <bool ALIGNED> INLINE void run(const Given& a, Norm norm) {
  using Buffer = Cells<ALIGNED>;
  const Buffer input(a.in), output(a.out), weights(a.weight), residual(a.residual);
  Words weight[EACH];
  const auto load_weight = [&] { UNROLL for (int i = 0; i < EACH; i++) if (has(i)) weight[i] = weights.load(column(i)); };
  if (KEPT) load_weight();
  wait_for_previous_kernel();
  let_next_kernel_launch();
  const u32 rows = u32(a.count / COLL_HIDDEN);
  for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
    Words r[EACH];
    UNROLL for (int i = 0; i < EACH; i++) {
      if (!has(i)) continue;
      Sum total = begin_sum(input.load(row * ROW + column(i)));
      add(total, residual.load(row * ROW + column(i)));
      r[i] = round_sum(total);
      residual.store(row * ROW + column(i), r[i]);
    }
    if (!KEPT) load_weight();
    const float scale = norm.scale(r);
    UNROLL for (int i = 0; i < EACH; i++)
      if (has(i)) output.store(row * ROW + column(i), scaled(r[i], scale, weight[i]));
  }
}

KERNEL(a) {
  __shared__ Board board;
  if (aligned(a)) run<true>(a, Norm(board));
  else run<false>(a, Norm(board));
}
