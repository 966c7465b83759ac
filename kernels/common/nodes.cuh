// Nodes: what all-reduces between nodes that only puts reach have in common; for kernels with the parameter COLL_CHUNK.
//
// Rank (n, g) owns shard g. It adds the cells of its node, what lies between the nodes is the kernel's own, and the
// result goes to the other ranks of the node. For the nodes, a block packs chunks of up to COLL_CHUNK KiB into the
// outbox, and sends each with one put; the put of a chunk is in flight while the block packs the next.
//
// Cell c of a shard belongs to one thread in all phases, whatever part of the shard a phase covers. So what a thread
// has packed, it may read again (`kept`), and no thread waits for another but at the barrier before a put. In place is
// safe: the thread that writes an element of the output is the one that has read it.
#pragma once

#ifdef COLL_CHUNK
constexpr u32 CHUNK = COLL_CHUNK * 1024 / CELL;  // cells of a put, at most

struct Span {
  u32 begin, end;  // cells of a shard
  INLINE bool has(u32 c) const { return c >= begin && c < end; }
};

struct ByPuts : Shards {
  const Call& call;
  const Input& input;
  const Output& output;
  char* const outbox;  // this rank's, of this call
  u32 mine;            // cells of the shard that this rank owns

  INLINE ByPuts(const Call& c, const Input& in, const Output& out)
      : Shards(c.a, in), call(c), input(in), output(out),
        outbox(c.a.scratch[c.a.place] + OUTBOX_AT + (c.epoch & 1) * COLL_OUTBOX_HALF) {
    const u32 begin = cell(me, 0);
    mine = begin >= cells ? 0 : cells - begin < size ? cells - begin : size;
  }
  // Slots and boxes follow each other, each as long as a shard of this message: a put needs its target in one piece.
  // All ranks agree on that in a call, and every cell that is sent is received in it, so a call of another size may lay
  // them out differently.
  INLINE u32 slot(int index, u32 c) const { return (index * size + c) * CELL; }
  INLINE char* box(int index, u32 c) const { return outbox + slot(index, c); }
  INLINE Span whole() const { return {0, size}; }
  INLINE Span owned() const { return {0, mine}; }

  // `work(c)` for this thread's cells of a span, chunk by chunk, and `then(part)` after each, in all threads of a
  // block.
  template <class Work, class Then> INLINE void every_chunk(Span span, Work work, Then then) const {
    const u32 before = span.begin / CHUNK;  // this block has every gridDim-th chunk of the shard
    for (u32 chunk = before + (blockIdx.x + gridDim.x - before % gridDim.x) % gridDim.x; chunk * CHUNK < span.end;
         chunk += gridDim.x) {
      const u32 first = chunk * CHUNK, last = first + CHUNK;
      const Span part{span.begin > first ? span.begin : first, span.end < last ? span.end : last};
      for (u32 c = first + threadIdx.x; c < part.end; c += blockDim.x)
        if (part.has(c)) work(c);
      then(part);
    }
  }
  template <class Work> INLINE void every_cell(Span span, Work work) const {
    every_chunk(span, work, [](Span) {});
  }
  // Pack `cell_of(c)` of every cell of a span, and put it to slot `index` of the rank at `to`.
  template <class CellOf> INLINE void put_each(Span span, int to, int index, int from, CellOf cell_of) const {
    every_chunk(span, [&](u32 c) { keep(from, c, cell_of(c)); }, [&](Span part) { put(part, to, index, from); });
  }
  INLINE void put(Span part, int to, int index, int from) const {
    put_cells(call, to, slot(index, part.begin), box(from, part.begin), part.end - part.begin);
  }
  INLINE void keep(int index, u32 c, Words x) const { store_cell(box(index, c), pack(x, call.flag())); }
  INLINE Words kept(int index, u32 c) const { return unpack(load_cell(box(index, c))); }
  INLINE Words receive(int index, u32 c, Where from) const { return call.receive_one(slot(index, c), from); }

  // ---- In the node; slots `first` to `first` + LOCAL - 1 are those of its ranks ----

  INLINE void scatter(int first) const {
    every_cell(whole(), [&](u32 c) {
      UNROLL for (int r = 1; r < LOCAL; r++) {
        const int g = (me + r) % LOCAL;
        if (exists(g, c)) call.send(place_of(node, g), slot(first + me, c), input.load(cell(g, c)));
      }
    });
  }
  INLINE Words node_sum(int first, u32 c) const {
    Sum total;
    UNROLL for (int g = 0; g < LOCAL; g++) {
      const Where from{SCATTERING, 0, u32(place_of(node, g))};
      const Words x = g == me ? input.load(cell(me, c)) : receive(first + g, c, from);
      if (g == 0) total = begin_sum(x);
      else add(total, x);
    }
    return round_sum(total);
  }
  INLINE void gather(int first, u32 c, Words sum) const {
    UNROLL for (int r = 1; r < LOCAL; r++) call.send(place_of(node, (me + r) % LOCAL), slot(first + me, c), sum);
    output.store(cell(me, c), sum);
  }
  // All that there is to do between scatter and collect on one node.
  INLINE void alone(int scattered, int gathered) const {
    every_cell(owned(), [&](u32 c) { gather(gathered, c, node_sum(scattered, c)); });
    mark(call.a, Mark::reduce_scatter);
  }
  INLINE void collect(int first) const {
    every_cell(whole(), [&](u32 c) {
      UNROLL for (int r = 1; r < LOCAL; r++) {
        const int g = (me + r) % LOCAL;
        const Where from{GATHERING, 0, u32(place_of(node, g))};
        if (exists(g, c)) output.store(cell(g, c), receive(first + g, c, from));
      }
    });
  }
};
#endif
