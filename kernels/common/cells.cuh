// Cells: 16 bytes that carry their own validity, so stores may arrive in any order; and sums of cells.
//
// Flagged: twice 4 bytes of data and 4 bytes of flag (NCCL's LL); the flag is the epoch, and both are checked. Half of
// the bytes are data. Needs stores that are atomic in 8 bytes.
// Lamport: 16 bytes of data; a word that has not arrived holds EMPTY, and its reader resets it. Needs atomicity in 4
// bytes only. For sums of floats up to 32 bits, EMPTY is a NaN that no sender writes. Other words may have any bits, so
// they ESCAPE: a word is sent as word xor KEY, and where that would be EMPTY or ESCAPED, as ESCAPED. Such a cell is
// rare; its sender also sends a note, 8 bytes in the flagged scratch whose flag is the epoch and whose data name the
// words that stand for EMPTY. Nothing orders the two: the reader of an escaped word waits for the note.
#pragma once

constexpr int WORDS = FLAGGED ? 2 : 4;
constexpr int CELL = 16, PAYLOAD = 4 * WORDS;
constexpr bool ESCAPES = !FLAGGED && (WHOLE || WIDTH == 8 || OP == Op::none);
constexpr u32 EMPTY = 0xffffffffu, OTHER_NAN = 0x7fffffffu;  // NaNs as two 16-bit floats, too
constexpr u32 ESCAPED = EMPTY ^ 1;
constexpr u32 KEY = 0x61c88646u;  // arbitrary, so that the words that escape, 0x9e3779b8 and 0x9e3779b9, are rare
struct alignas(PAYLOAD) Words { u32 w[WORDS]; };

INLINE u32 spare(u32 word) {
  if constexpr (ESCAPES) return ((word ^ KEY) | 1) == EMPTY ? ESCAPED : word ^ KEY;
  else return word == EMPTY ? OTHER_NAN : word;
}
INLINE u32 restore(u32 word) { return ESCAPES ? word ^ KEY : word; }
INLINE Cell pack(Words v, u32 flag) {
  if constexpr (FLAGGED) return {v.w[0], flag, v.w[1], flag};
  else return {spare(v.w[0]), spare(v.w[1]), spare(v.w[2]), spare(v.w[3])};
}
template <class W = Words> INLINE W unpack(Cell c) {  // a template for the same reason as widen
  if constexpr (FLAGGED) return {c.x, c.z};
  else return {restore(c.x), restore(c.y), restore(c.z), restore(c.w)};
}
INLINE bool arrived(Cell c, u32 flag) {
  if constexpr (FLAGGED) return (c.y == flag) & (c.w == flag);
  else return (c.x != EMPTY) & (c.y != EMPTY) & (c.z != EMPTY) & (c.w != EMPTY);
}

// ---- Escapes ----

INLINE bool escaped(Cell c) { return (c.x == ESCAPED) | (c.y == ESCAPED) | (c.z == ESCAPED) | (c.w == ESCAPED); }
// One bit per word that stands for EMPTY.
template <class W> INLINE u32 empties(const W& x) {
  u32 bits = 0;
  UNROLL for (int i = 0; i < WORDS; i++) bits |= (x.w[i] ^ KEY) == EMPTY ? 1u << i : 0;
  return bits;
}
// An escaped cell as its sender would have sent it, had EMPTY been a word like others.
INLINE Cell complete(Cell c, u32 note) {
  return {c.x ^ (note & 1), c.y ^ (note >> 1 & 1), c.z ^ (note >> 2 & 1), c.w ^ (note >> 3 & 1)};
}

// ---- Sums ----

constexpr int ELEMENTS = PAYLOAD / WIDTH;  // of a cell
struct Sum { Wide v[ELEMENTS]; };

INLINE Sum begin_sum(Words x) {
  Sum s;
  UNROLL for (int i = 0; i < ELEMENTS; i++) s.v[i] = widen(x, i);
  return s;
}
INLINE void add(Sum& s, Words x) {
  UNROLL for (int i = 0; i < ELEMENTS; i++) s.v[i] = combine(s.v[i], widen(x, i));
}
INLINE Words round_sum(const Sum& s) {
  Words x;
  UNROLL for (int i = 0; i < WORDS; i++) x.w[i] = narrow(s.v, i);
  return x;
}
// The rounded sum of two rounded partial sums: both partners of an exchange get the same bits.
INLINE Words add_pair(Words mine, Words theirs) {
  Sum s = begin_sum(mine);
  add(s, theirs);
  return round_sum(s);
}
