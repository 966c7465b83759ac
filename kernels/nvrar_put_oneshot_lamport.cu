/* collbench
summary = "nvrar-put-oneshot without flags: Lamport cells, half the bytes, for networks that write whole words once"
collective = "all_reduce"
dtypes = ["float32", "float16", "bfloat16", "float64", "int32", "int64"]
ops = ["sum", "min", "max"]
order = "nvrar"
nodes = "any"
cell = "lamport"
wire = "(2*(G-1)+N-1)*S/G"
scratch = "(2*G+N)*S/G"
outbox = "min(N-1,1)*S/G"
phases = ["reduce-scatter", "exchange", "all-gather"]
blocks = [1, 2, 4, 8, 16, 32, 64]
threads = [256, 512]
defines = {COLL_CHUNK = [64, 256, 16, 4]}  # KiB of a put, at most
*/
// The same algorithm, order of additions and puts as in nvrar_put_oneshot.cu; only the cells differ, so f = 1.
//
// Predicted, not yet timed on GPUs: faster than nvrar_put_lamport.cu for shards of up to 251 KB on 4 nodes and 125 KB on
// 8, where a trip takes 210 us, at 10 Gbit/s and with the headers of TCP. On 4 nodes of one rank, 200 us apart
// (results/h200x4-4hosts-200us-10g.csv), one-shot with flags took 477 us at 32 KiB and 688 at 64 KiB, and doubling without
// flags 633 at 64 KiB. Without flags, one-shot sends 3 S bytes less and should take 395 and 524 us.
//
// Ordering: as in nvrar_put_lamport.cu. The next put to a cell comes two calls later, and its sender has then received
// the puts of the call between from all nodes, which they sent after they had cleared what they read before.
#include "nvrar_put_oneshot.cu"
