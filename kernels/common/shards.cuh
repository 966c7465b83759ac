// Shards: the message cut into one part per rank of a node, and the partners of a rank on its own and on other nodes.
#pragma once

constexpr int floor_log2(int n) { return n < 2 ? 0 : 1 + floor_log2(n / 2); }
// Recursive doubling takes STEPS steps among the first CORE nodes, the largest power of two; EXTRA nodes are beyond it.
constexpr int STEPS = floor_log2(NODES), CORE = 1 << STEPS, EXTRA = NODES - CORE;

INLINE int place_of(int node, int index) { return node * LOCAL + index; }

struct Shards {
  int place, node, me;  // this rank, its node, and its index there, which is the shard that it owns
  u32 cells, size;      // cells of the message, and of a shard; the last shards may have fewer, or none

  INLINE Shards(const Args& a, const Input& input)
      : place(a.place), node(place / LOCAL), me(place % LOCAL), cells(input.cells()) {
    size = (cells + LOCAL - 1) / LOCAL;
  }
  INLINE u32 cell(int g, u32 c) const { return g * size + c; }  // of the message: cell c of shard g
  INLINE bool exists(int g, u32 c) const { return c < size && cell(g, c) < cells; }
};
