/* collbench
summary = "nvrar-put-oneshot without flags: Lamport cells, half the bytes, where the network writes whole words once"
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
// The same algorithm, order of additions and puts as in nvrar_put_oneshot.cu; only the cells differ, so f = 1, and it is
// faster than nvrar_put_lamport.cu up to twice the shard: predicted for trips of 210 us at 10 Gbit/s, up to 262 KB on 4
// nodes and 131 KB on 8. Measured there on 4 nodes of one rank, one-shot with flags took 477 us for 32 KiB and 688 us for
// 64 KiB, and doubling without flags 633 us for 64 KiB. 3 S bytes less on the wire are predicted to make 395 and 524 us
// of the first two.
//
// Ordering: as in nvrar_put_lamport.cu. The next put to a cell comes two calls later, and its sender has then received
// the puts of the call between from all nodes, which they sent after they had cleared what they read before.
#include "nvrar_put_oneshot.cu"
