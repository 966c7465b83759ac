// Buffers: input and output in cells; cell c begins at byte c * PAYLOAD, and the last one may be partly filled.
#pragma once

// Half a cell moved by one element up or down.
INLINE u64 upper(u64 half) { return WIDTH == 8 ? 0 : half << (8 * WIDTH % 64); }
INLINE u64 lower(u64 half) { return WIDTH == 8 ? 0 : half >> (8 * WIDTH % 64); }

// Element by element; out of line, so that code that rarely runs does not crowd the instruction cache. Shifts, since an
// array indexed at run time would be in local memory.
OUTLINE Words load_elements(const char* p, int held) {
  u64 half[2] = {0, 0};
#pragma unroll 1
  for (int i = held - 1; i >= 0; i--) {
    half[1] = upper(half[1]) | half[0] >> (64 - 8 * WIDTH);
    half[0] = upper(half[0]) | load_plain(reinterpret_cast<const Element*>(p) + i);
  }
  Words x;
  UNROLL for (int i = 0; i < WORDS; i++) x.w[i] = u32(half[i / 2] >> (32 * (i % 2)));
  return x;
}
OUTLINE void store_elements(char* p, int held, Words x) {
  u64 half[2] = {0, 0};
  UNROLL for (int i = 0; i < WORDS; i++) half[i / 2] |= u64(x.w[i]) << (32 * (i % 2));
#pragma unroll 1
  for (int i = 0; i < held; i++) {
    store_plain(reinterpret_cast<Element*>(p) + i, Element(half[0]));
    half[0] = lower(half[0]) | half[1] << (64 - 8 * WIDTH);
    half[1] = lower(half[1]);
  }
}

template <class Byte> struct Buffer {
  Byte* data;
  u32 bytes;     // less than 4 GiB, as the scratch is
  bool aligned;  // whole cells can be moved with one instruction

  // `count` elements at `p`. `addresses`: where several buffers share one test of alignment, theirs joined by |.
  INLINE Buffer(Byte* p, u64 count, u64 addresses) : data(p), bytes(u32(count) * WIDTH) {
    aligned = (addresses & (PAYLOAD - 1)) == 0;
  }
  INLINE Buffer(Byte* p, u64 count) : Buffer(p, count, u64(p)) {}

  INLINE u32 cells() const { return (bytes - 1) / PAYLOAD + 1; }
  INLINE bool whole(u32 c) const { return aligned && (c + 1) * PAYLOAD <= bytes; }
  INLINE int held(u32 c) const {  // elements
    return bytes - c * PAYLOAD < PAYLOAD ? int(bytes - c * PAYLOAD) / WIDTH : PAYLOAD / WIDTH;
  }
};

struct Input : Buffer<const char> {
  using Buffer::Buffer;
  INLINE Words load(u32 c) const {
    const char* p = data + c * PAYLOAD;
    return whole(c) ? load_plain(reinterpret_cast<const Words*>(p)) : load_elements(p, held(c));
  }
};

struct Output : Buffer<char> {
  using Buffer::Buffer;
  INLINE void store(u32 c, Words x) const {
    char* p = data + c * PAYLOAD;
    if (whole(c)) store_plain(reinterpret_cast<Words*>(p), x);
    else store_elements(p, held(c), x);
  }
};
