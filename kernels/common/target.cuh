// What a kernel is compiled for: one element type, one operation, one layout of ranks. The host defines
//   COLL_DTYPE, COLL_OP     element type and operation, by name; the operation "none" where nothing is reduced
//   COLL_NODES, COLL_LOCAL  nodes, and ranks on each
//   COLL_FLAGGED            1: flagged cells; 0: Lamport cells
//   COLL_THREADS            threads per block, exactly
//   COLL_TILE               contiguous cells of a slot
//   COLL_*_HALF             bytes of one half of the scratch, for flagged and Lamport cells, and for the outbox
//   COLL_PHASES             the phases of the kernel's header, as enumerators with their numbers
//   COLL_MARKS              where phases are timed: marks per block
//   COLL_PARTS              1 where every rank has a part of the message: reduce_scatter, all_gather
//   COLL_HIDDEN             all_reduce_rms_norm: elements of a row
//   COLL_EPSILON            and what is added to the mean of its squares
// and, for each entry of the header's `defines`, a macro of that name.
//
// Ranks are addressed by place: place = node * LOCAL + index on the node.
#pragma once

enum Dtype { float32, float16, bfloat16, float64, int32, int64 };
enum class Op { sum, min, max, none };  // none: elements are copied

constexpr Dtype DTYPE = COLL_DTYPE;
constexpr Op OP = Op::COLL_OP;
constexpr int NODES = COLL_NODES, LOCAL = COLL_LOCAL, PLACES = NODES * LOCAL;
constexpr bool FLAGGED = COLL_FLAGGED;
constexpr int REGISTERS = COLL_THREADS > 256 ? 65536 / COLL_THREADS : 255;  // of a thread
