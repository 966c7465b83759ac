// Elements: a 32-bit word holds one or two; sums are formed in Wide and rounded once.
#pragma once

template <bool B, class T, class F> struct Choose { using type = T; };
template <class T, class F> struct Choose<false, T, F> { using type = F; };

constexpr bool WHOLE = DTYPE == int32;                                // integers: no rounding, no NaN
constexpr int WIDTH = DTYPE == float16 || DTYPE == bfloat16 ? 2 : 4;  // bytes of an element
constexpr int PER_WORD = 4 / WIDTH;
using Wide = Choose<WHOLE, int, float>::type;
using Element = Choose<WIDTH == 2, u16, u32>::type;  // its bits

INLINE Wide widen(u32 word, int i) {
  if constexpr (DTYPE == bfloat16) return __uint_as_float(i ? word & 0xffff0000u : word << 16);
  else if constexpr (DTYPE == float16) {
    return half_to_float(u16(i ? word >> 16 : word));
  } else if constexpr (DTYPE == float32) return __uint_as_float(word);
  else return int(word);
}
// Round to nearest, ties to even. A template, since not every branch compiles for every W.
template <class W> INLINE u32 narrow(const W* v) {
  u32 word;
  if constexpr (DTYPE == bfloat16) word = to_bfloats(v[0], v[1]);
  else if constexpr (DTYPE == float16) word = to_halves(v[0], v[1]);
  else if constexpr (DTYPE == float32) word = __float_as_uint(v[0]);
  else word = u32(v[0]);
  return word;
}
// Commutative down to the bits, zeros and NaNs included: two partners add in opposite orders. Minimum and maximum are
// those of IEEE 754-2019: they propagate NaN, and -0 is below +0. Every NaN result has the same bits.
INLINE int combine(int a, int b) {
  if constexpr (OP == Op::sum) return int(u32(a) + u32(b));
  else if constexpr (OP == Op::min) return a < b ? a : b;
  else return a > b ? a : b;
}
INLINE float combine(float a, float b) {
  if constexpr (OP == Op::min) return least_of(a, b);
  else if constexpr (OP == Op::max) return largest_of(a, b);
  else return sum_of(a, b);
}
