// Nodes: what all-reduces between nodes that only puts reach have in common; for kernels with the parameter COLL_CHUNK.
//
// Rank (n, g) owns shard g. It adds the cells of its node, what lies between the nodes is the kernel's own, and the
// result goes to the other ranks of the node. For the nodes, a block packs chunks of up to COLL_CHUNK KiB into the
// outbox, and sends each with one put; the put of a chunk is in flight while the block packs the next.
//
// Cell c of a shard belongs to one thread in all phases, whatever part of the shard a phase covers. So what a thread
// has packed, it may read again (`kept`), and no thread waits for another but at the barrier before a put. In place is
// safe: the thread that writes an element of the output is the one that has read it.
//
// A block takes a chunk through both phases of a node at once: it scatters the chunk, adds it and puts it before it
// scatters its next one, and it collects a chunk before it waits for the next one from the network. So the first put
// waits for one chunk, and only the last chunk is collected when nothing is in flight any more. Nobody waits in a
// circle: all ranks of a node take the chunks in the same order, and what a chunk waits for in its first phase are
// first phases, of the same chunk or of one before it.
//
// A thread handles BATCH of its cells at once, so that it waits for memory, M, once for all of them rather than for
// each: BATCH times less often than C / (16 threads) times a chunk.
#pragma once

#ifdef COLL_CHUNK
constexpr u32 CHUNK = COLL_CHUNK * 1024 / CELL;  // cells of a put, at most
constexpr int BATCH = 4;
// Cells at once, up to a batch, where each takes so many registers: those that fit a third of a thread's.
constexpr int at_once(int registers) {
  return registers * BATCH <= REGISTERS / 3 ? BATCH : registers * 2 <= REGISTERS / 3 ? 2 : 1;
}

struct Span {
  u32 begin, end;  // cells of a shard
  INLINE bool has(u32 c) const { return c >= begin && c < end; }
  INLINE Span within(Span other) const {
    const u32 first = begin > other.begin ? begin : other.begin, last = end < other.end ? end : other.end;
    return {first, last > first ? last : first};
  }
};

// Cells of a thread in part of a chunk.
template <int K> struct Batch {
  Span part;
  u32 first;
  INLINE u32 at(int b) const { return first + b * COLL_THREADS; }
  INLINE bool has(int b) const { return part.has(at(b)); }
  INLINE bool any() const {
    bool found = false;
    UNROLL for (int b = 0; b < K; b++) found |= has(b);
    return found;
  }
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
  INLINE Span owned(Span part) const { return part.within({0, mine}); }

  // `work(part)` for the chunks of a span that this block has, in all its threads.
  template <class Work> INLINE void every_chunk(Span span, Work work) const {
    const u32 before = span.begin / CHUNK;  // this block has every gridDim-th chunk of the shard
#pragma unroll 1
    for (u32 chunk = before + (blockIdx.x + gridDim.x - before % gridDim.x) % gridDim.x; chunk * CHUNK < span.end;
         chunk += gridDim.x)
      work(span.within({chunk * CHUNK, chunk * CHUNK + CHUNK}));
  }
  // `work(batch)` for this thread's cells of part of a chunk, K at once.
  template <int K, class Work> INLINE void every_batch(Span part, Work work) const {
    const u32 chunk = part.begin - part.begin % CHUNK;
#pragma unroll 1
    for (u32 c = chunk + threadIdx.x; c < part.end; c += K * COLL_THREADS) {
      const Batch<K> batch{part, c};
      if (batch.any()) work(batch);
    }
  }
  // Pack the sums of a part, `sums(words, batch)`, into box `index`.
  template <int K, class Sums> INLINE void keep_each(int index, Span part, Sums sums) const {
    every_batch<K>(part, [&](Batch<K> batch) {
      Words x[K];
      sums(x, batch);
      keep(index, batch, x);
    });
  }
  template <int K> INLINE void keep(int index, Batch<K> batch, const Words (&x)[K]) const {
    UNROLL for (int b = 0; b < K; b++)
      if (batch.has(b)) store_cell(box(index, batch.at(b)), pack(x[b], call.flag()));
  }
  template <int K> INLINE void kept(Words (&x)[K], int index, Batch<K> batch) const {
    UNROLL for (int b = 0; b < K; b++) {
      x[b] = Words{};
      if (batch.has(b)) x[b] = unpack(load_cell(box(index, batch.at(b))));
    }
  }
  INLINE void put(Span part, int to, int index, int from) const {
    put_cells(call, to, slot(index, part.begin), box(from, part.begin), part.end - part.begin);
  }
  template <int K> INLINE void receive(Words (&x)[K], int index, Batch<K> batch, Where from) const {
    call.receive(x,
        [&](int b) { return batch.has(b) ? slot(index, batch.at(b)) : NONE; },
        [&](int) { return from; });
  }
  // x += what has been received.
  template <int K> static INLINE void merge(Words (&x)[K], const Words (&theirs)[K]) {
    UNROLL for (int b = 0; b < K; b++) x[b] = add_pair(x[b], theirs[b]);
  }

  // ---- In the node; slots `first` to `first` + LOCAL - 1 are those of its ranks ----

  static constexpr int PART = at_once(LOCAL * CELL / 4);  // cells of a thread, each from all ranks of a node

  INLINE void scatter(int first, Span part) const {
    if constexpr (LOCAL == 1) return;
    every_batch<PART>(part, [&](Batch<PART> batch) {
      Words x[LOCAL][PART];
      UNROLL for (int r = 1; r < LOCAL; r++) UNROLL for (int b = 0; b < PART; b++) {
        const int g = (me + r) % LOCAL;
        if (batch.has(b) && exists(g, batch.at(b))) x[r][b] = input.load(cell(g, batch.at(b)));
      }
      UNROLL for (int r = 1; r < LOCAL; r++) UNROLL for (int b = 0; b < PART; b++) {
        const int g = (me + r) % LOCAL;
        if (batch.has(b) && exists(g, batch.at(b)))
          call.send(place_of(node, g), slot(first + me, batch.at(b)), x[r][b]);
      }
    });
  }
  // The sums of the node, in order of index.
  INLINE void node_sum(Words (&sum)[PART], int first, Batch<PART> batch) const {
    Words own[PART], got[LOCAL * PART];
    UNROLL for (int b = 0; b < PART; b++) {
      own[b] = Words{};
      if (batch.has(b)) own[b] = input.load(cell(me, batch.at(b)));
    }
    call.receive(got,
        [&](int k) {
          return k / PART != me && batch.has(k % PART) ? slot(first + k / PART, batch.at(k % PART)) : NONE;
        },
        [&](int k) { return Where{SCATTERING, 0, u32(place_of(node, k / PART))}; });
    UNROLL for (int b = 0; b < PART; b++) {
      Sum total;
      UNROLL for (int g = 0; g < LOCAL; g++) {
        const Words x = g == me ? own[b] : got[g * PART + b];
        if (g == 0) total = begin_sum(x);
        else add(total, x);
      }
      sum[b] = round_sum(total);
    }
  }
  template <int K> INLINE void gather(int first, Batch<K> batch, const Words (&sum)[K]) const {
    UNROLL for (int b = 0; b < K; b++) {
      if (!batch.has(b)) continue;
      UNROLL for (int r = 1; r < LOCAL; r++)
        call.send(place_of(node, (me + r) % LOCAL), slot(first + me, batch.at(b)), sum[b]);
      output.store(cell(me, batch.at(b)), sum[b]);
    }
  }
  // All that there is to do on one node.
  INLINE void alone(int scattered, int gathered) const {
    every_chunk(whole(), [&](Span part) {
      scatter(scattered, part);
      every_batch<PART>(owned(part), [&](Batch<PART> batch) {
        Words sum[PART];
        node_sum(sum, scattered, batch);
        gather(gathered, batch, sum);
      });
      mark(call.a, Mark::reduce_scatter);
      collect(gathered, part);
    });
  }
  INLINE void collect(int first, Span part) const {
    if constexpr (LOCAL == 1) return;
    every_batch<PART>(part, [&](Batch<PART> batch) {
      const auto comes = [&](int k) {
        return k / PART != me && batch.has(k % PART) && exists(k / PART, batch.at(k % PART));
      };
      Words got[LOCAL * PART];
      call.receive(got,
          [&](int k) { return comes(k) ? slot(first + k / PART, batch.at(k % PART)) : NONE; },
          [&](int k) { return Where{GATHERING, 0, u32(place_of(node, k / PART))}; });
      UNROLL for (int k = 0; k < LOCAL * PART; k++)
        if (comes(k)) output.store(cell(k / PART, batch.at(k % PART)), got[k]);
    });
  }
};
#endif
