// Elements: one or two in a 32-bit word, or one in two words; sums are formed in Wide and rounded once.
#pragma once

template <bool B, class T, class F> struct Choose { using type = T; };
template <class T, class F> struct Choose<false, T, F> { using type = F; };

constexpr bool WHOLE = DTYPE == int32 || DTYPE == int64;  // integers: no rounding, no NaN
constexpr bool HALVES = DTYPE == float16 || DTYPE == bfloat16;
constexpr int WIDTH = HALVES ? 2 : DTYPE == float64 || DTYPE == int64 ? 8 : 4;  // bytes of an element
using Wide = Choose<WIDTH == 8, Choose<WHOLE, i64, double>::type, Choose<WHOLE, int, float>::type>::type;
using Element = Choose<WIDTH == 2, u16, Choose<WIDTH == 4, u32, u64>::type>::type;  // its bits

// Element i of a cell. A template, since not every branch compiles for every type.
template <class W> INLINE Wide widen(const W& x, int i) {
  if constexpr (DTYPE == bfloat16) return __uint_as_float(i % 2 ? x.w[i / 2] & 0xffff0000u : x.w[i / 2] << 16);
  else if constexpr (DTYPE == float16) return half_to_float(u16(i % 2 ? x.w[i / 2] >> 16 : x.w[i / 2]));
  else if constexpr (DTYPE == float32) return __uint_as_float(x.w[i]);
  else if constexpr (DTYPE == int32) return int(x.w[i]);
  else {
    const u64 bits = x.w[2 * i] | u64(x.w[2 * i + 1]) << 32;
    if constexpr (DTYPE == float64) return double_of(bits);
    else return i64(bits);
  }
}
// Word i of a cell with the elements v, rounded to nearest, ties to even.
template <class W> INLINE u32 narrow(const W* v, int i) {
  if constexpr (DTYPE == bfloat16) return to_bfloats(v[2 * i], v[2 * i + 1]);
  else if constexpr (DTYPE == float16) return to_halves(v[2 * i], v[2 * i + 1]);
  else if constexpr (DTYPE == float32) return __float_as_uint(v[i]);
  else if constexpr (DTYPE == int32) return u32(v[i]);
  else if constexpr (DTYPE == float64) return u32(bits_of(v[i / 2]) >> (32 * (i % 2)));
  else return u32(u64(v[i / 2]) >> (32 * (i % 2)));
}
// The same for 64 bits on every machine: GPUs keep the payload of such a NaN, and have no minimum that propagates it.
INLINE double one_nan(double d) { return d == d ? d : double_of(0x7fffffffffffffffu); }
INLINE double sum_of(double a, double b) { return one_nan(a + b); }
INLINE double least_of(double a, double b) {
  if (a != a || b != b) return one_nan(a + b);
  return a < b || (a == b && bits_of(a) >> 63) ? a : b;
}
INLINE double largest_of(double a, double b) {
  if (a != a || b != b) return one_nan(a + b);
  return a > b || (a == b && !(bits_of(a) >> 63)) ? a : b;
}

// Commutative down to the bits, zeros and NaNs included: two partners add in opposite orders. Minimum and maximum are
// those of IEEE 754-2019: they propagate NaN, and -0 is below +0. Every NaN result has the same bits.
template <class Whole, class Unsigned> INLINE Whole combine_whole(Whole a, Whole b) {
  if constexpr (OP == Op::sum) return Whole(Unsigned(a) + Unsigned(b));
  else if constexpr (OP == Op::min) return a < b ? a : b;
  else return a > b ? a : b;
}
INLINE int combine(int a, int b) { return combine_whole<int, u32>(a, b); }
INLINE i64 combine(i64 a, i64 b) { return combine_whole<i64, u64>(a, b); }
template <class Float> INLINE Float combine_floats(Float a, Float b) {
  if constexpr (OP == Op::min) return least_of(a, b);
  else if constexpr (OP == Op::max) return largest_of(a, b);
  else return sum_of(a, b);
}
INLINE float combine(float a, float b) { return combine_floats(a, b); }
INLINE double combine(double a, double b) { return combine_floats(a, b); }
