/* collbench
summary = "nvrar-put without flags: Lamport cells, half the bytes, for networks that write whole words once"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "any"
cell = "lamport"
wire = "(2*(G-1)+ceil(log2(N)))*S/G"
scratch = "(2*G+ceil(log2(N))+2)*S/G"
outbox = "ceil(log2(N))*S/G"
phases = ["reduce-scatter", "doubling", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
defines = {COLL_CHUNK = [64, 256, 16, 4]}  # KiB of a put, at most
*/
// The same algorithm, order of additions and puts as in nvrar_put.cu; only the cells differ, so f = 1.
//
// A word of a Lamport cell holds EMPTY until it arrives, so neither order nor completion of puts matters, and pieces
// may be as small as a word; but a network must not tear a word, and must not write one twice (common/put.cuh). Its
// reader clears it in its own memory. The next put to that cell, two calls later, follows the clear as every store into
// it does (collbench.cuh).
//
// Sums of float32 and 16-bit floats have no flags. Other types may have any bits, and a note on a word that escapes is
// a store, which does not reach another node: they are sent in flagged cells here, too.
#include "nvrar_put.cu"
