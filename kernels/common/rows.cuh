// Rows: what kernels of all_reduce_rms_norm do with a row of the message once it is summed over the ranks.
//
// The arithmetic is documented to the bit, and the same for every machine and launch shape; its twin in Python is
// collbench/plan/rms_norm.py.
//
//   r     the sum and the residual, added in fp32 and rounded to the element type: the new residual.
//   S     the sum of the squares of r, each operation rounded by itself (no fused multiply-add). Within a cell of eight
//         the squares fold in half: v[i] += v[i + 4], then v[i + 2], then v[1]. The sums of the row's cells, padded with
//         zeros to a power of two n, fold in half as well: s[c] += s[c + n/2], ..., s[0] += s[1]. Cell c is the one of
//         thread c mod TEAM, and TEAM is a power of two, so a thread folds its own cells first (the top bits of c), then
//         warps fold, then lanes: the same additions for every number of threads.
//   out   (r * scale) * weight in fp32, rounded; scale = 1 / sqrt(S / hidden + epsilon).
#pragma once

#if COLL_HIDDEN
static_assert(!FLAGGED && WIDTH == 2 && COLL_HIDDEN % (PAYLOAD / WIDTH) == 0, "rows are whole cells of 16-bit floats");
constexpr int ROW = COLL_HIDDEN * WIDTH / PAYLOAD;     // cells of a row
constexpr int TEAM = 1 << floor_log2(COLL_THREADS);    // threads of a block that share a row; others only meet them
constexpr int EACH = (ROW + TEAM - 1) / TEAM;          // cells of a row that one thread has, at most
constexpr int WARPS = TEAM > 32 ? TEAM / 32 : 1, LANES = TEAM < 32 ? TEAM : 32;
// Whether a thread's cells of two rows and of the weight, and those that it receives, fit half of its registers: it then
// keeps them. Else it loads what it needs for a row when it comes to it.
constexpr bool KEPT = (6 * EACH + (PLACES < 8 ? PLACES : 8)) * WORDS <= REGISTERS / 2;

INLINE u32 column(int i) { return i * TEAM + threadIdx.x; }  // of this thread's cell i
INLINE bool has(int i) {
  return (TEAM == COLL_THREADS || threadIdx.x < TEAM) && ((i + 1) * TEAM <= ROW || column(i) < ROW);
}

// A buffer of whole cells. ALIGNED: to 16 bytes; decided once, so that no access tests it.
template <bool ALIGNED> struct Cells {
  char* data;
  INLINE explicit Cells(const char* p) : data(const_cast<char*>(p)) {}
  INLINE Words load(u32 c) const {
    if constexpr (ALIGNED) return load_plain(reinterpret_cast<const Words*>(data + c * PAYLOAD));
    else return load_elements(data + c * PAYLOAD, PAYLOAD / WIDTH);
  }
  INLINE void store(u32 c, Words x) const {
    if constexpr (ALIGNED) store_plain(reinterpret_cast<Words*>(data + c * PAYLOAD), x);
    else store_elements(data + c * PAYLOAD, PAYLOAD / WIDTH, x);
  }
};
INLINE bool aligned(const Given& a) {
  return ((u64(a.in) | u64(a.out) | u64(a.weight) | u64(a.residual)) & (PAYLOAD - 1)) == 0;
}

// The sum of n values, a power of two: v[0] += v[n/2], ..., until one is left.
template <int N> INLINE float folded(const float (&v)[N]) {
  if constexpr (N == 1) return v[0];
  else {
    float half[N / 2];
    UNROLL for (int i = 0; i < N / 2; i++) half[i] = sum_of(v[i], v[i + N / 2]);
    return folded(half);
  }
}
INLINE float squares_of(Words r) {
  Sum s = begin_sum(r);
  UNROLL for (int i = 0; i < PAYLOAD / WIDTH; i++) s.v[i] = product_of(s.v[i], s.v[i]);
  return folded(s.v);
}

INLINE float mean_of(float total) {
  constexpr bool power_of_two = (COLL_HIDDEN & (COLL_HIDDEN - 1)) == 0;  // the same bits by a product, which is faster
  return power_of_two ? product_of(total, 1.0f / COLL_HIDDEN) : quotient_of(total, COLL_HIDDEN);
}

// What the rows that a block handles one after another have in common.
using Board = float[2][TEAM];  // in shared memory
struct Norm {
  Board& board;
  u32 turn = 0;  // rows so far

  INLINE explicit Norm(Board& shared) : board(shared) {}

  // The scale of a row of which this thread has the cells `r`. All threads of the block must call it.
  INLINE float scale(const Words (&r)[EACH]) {
    float own[1 << floor_log2(2 * EACH - 1)];
    UNROLL for (int i = 0; i < int(sizeof(own) / sizeof(float)); i++) {
      own[i] = 0;
      if (i < EACH && has(i)) own[i] = squares_of(r[i]);
    }
    return reciprocal_of(root_of(sum_of(mean_of(over_block(folded(own))), COLL_EPSILON)));
  }

  // Threads t and t + TEAM/2, ... first: every lane folds what its lane of all warps has, then lanes fold by shuffles. So
  // all threads get the sum, and one barrier a row suffices: a half of the board is written again two rows later, after
  // the barrier of the row between, which every thread reaches after it has read this row.
  INLINE float over_block(float x) {
    if constexpr (WARPS > 1) {
      float (&part)[TEAM] = board[turn++ % 2];
      if (threadIdx.x < TEAM) part[threadIdx.x] = x;
      __syncthreads();
      float all[WARPS];
      UNROLL for (int w = 0; w < WARPS; w++) all[w] = part[w * 32 + threadIdx.x % 32];
      x = folded(all);
    }
    UNROLL for (int lanes = LANES / 2; lanes > 0; lanes /= 2) x = sum_of(x, __shfl_xor_sync(0xffffffffu, x, lanes));
    return x;
  }
};
INLINE Words scaled(Words r, float scale, Words weight) {
  Sum s = begin_sum(r);
  const Sum factor = begin_sum(weight);
  UNROLL for (int i = 0; i < PAYLOAD / WIDTH; i++) s.v[i] = product_of(product_of(s.v[i], scale), factor.v[i]);
  return round_sum(s);
}
#endif
