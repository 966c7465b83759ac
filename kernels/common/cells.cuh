// Cells: 16 bytes that carry their own validity, so stores may arrive in any order; and sums of cells.
//
// Flagged: twice 4 bytes of data and 4 bytes of flag (NCCL's LL); the flag is the epoch, and both are checked. Half of
// the bytes are data. Needs stores that are atomic in 8 bytes.
// Lamport: 16 bytes of data; a word that has not arrived holds EMPTY, a NaN that no sender writes, and its reader
// resets it. Needs atomicity in 4 bytes only, but a type with a bit pattern to spare.
#pragma once

constexpr int WORDS = FLAGGED ? 2 : 4;
constexpr int CELL = 16, PAYLOAD = 4 * WORDS;
constexpr u32 EMPTY = 0xffffffffu, OTHER_NAN = 0x7fffffffu;  // NaNs as two 16-bit floats, too
static_assert(FLAGGED || !WHOLE, "integers have no bit pattern to spare: they need flagged cells");

struct alignas(PAYLOAD) Words { u32 w[WORDS]; };

INLINE u32 spare(u32 word) { return word == EMPTY ? OTHER_NAN : word; }
INLINE Cell pack(Words v, u32 flag) {
  if constexpr (FLAGGED) return {v.w[0], flag, v.w[1], flag};
  else return {spare(v.w[0]), spare(v.w[1]), spare(v.w[2]), spare(v.w[3])};
}
template <class W = Words> INLINE W unpack(Cell c) {  // a template for the same reason as narrow
  if constexpr (FLAGGED) return {c.x, c.z};
  else return {c.x, c.y, c.z, c.w};
}
INLINE bool arrived(Cell c, u32 flag) {
  if constexpr (FLAGGED) return (c.y == flag) & (c.w == flag);
  else return (c.x != EMPTY) & (c.y != EMPTY) & (c.z != EMPTY) & (c.w != EMPTY);
}

// ---- Sums ----

struct Sum { Wide v[WORDS * PER_WORD]; };

INLINE Sum begin_sum(Words x) {
  Sum s;
  UNROLL for (int i = 0; i < WORDS * PER_WORD; i++) s.v[i] = widen(x.w[i / PER_WORD], i % PER_WORD);
  return s;
}
INLINE void add(Sum& s, Words x) {
  UNROLL for (int i = 0; i < WORDS * PER_WORD; i++) s.v[i] = combine(s.v[i], widen(x.w[i / PER_WORD], i % PER_WORD));
}
INLINE Words round_sum(const Sum& s) {
  Words x;
  UNROLL for (int i = 0; i < WORDS; i++) x.w[i] = narrow(s.v + i * PER_WORD);
  return x;
}
// The rounded sum of two rounded partial sums: both partners of an exchange get the same bits.
INLINE Words add_pair(Words mine, Words theirs) {
  Sum s = begin_sum(mine);
  add(s, theirs);
  return round_sum(s);
}
