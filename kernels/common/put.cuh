// Puts: cells for ranks that loads and stores do not reach, through NVSHMEM; for kernels that set COLL_USES_PUT to 1.
#pragma once

#if COLL_USES_PUT
// `cells` cells from `from`, in this rank's scratch, to offset `to` of the half at `place`; called by whole blocks.
//
// No signal and no quiet: cells carry their own validity. The source may be overwritten two calls later: its target has
// read the cells by then. The cells were stored by all threads of the block and are read by one transfer, so NVSHMEM
// must fence between the barrier and the transfer. Version 3.8.0 does (include/non_abi/device/pt-to-pt): the proxy with
// __threadfence() at the head of transfer_dma (proxy_device.cuh), IBGDA in IBGDA_MEMBAR before it rings the doorbell
// (ibgda_device.cuh). That is the scope of the device, not of the system: enough, since the network reads this memory
// through the L2 of its owner. Over NVLink the threads copy, after the barrier.
//
// What a network must do: deliver words whole, aligned 8 bytes for flagged cells and 4 for Lamport cells, in any order,
// and write each of them once. A second write of the same put could arrive after its reader has cleared a Lamport cell,
// and would pass for a cell of a later call. And it reads the outbox again, where it may find flagged cells of a later
// call, valid and for other places. The host asks the transport (collbench/host/transports.py), and refuses flagged
// cells where it is known not to do that, Lamport cells where it does not promise it.
//
// Not data with one flag after them, which would spare flags for every type and network: nothing orders two puts but a
// fence or a put with signal. Over libfabric NVSHMEM's fence waits until the data are delivered, and cxi's put with
// signal contains one (3.4.5, libfabric.cpp and transport_common.cpp). Over InfiniBand with adaptive routing the signal
// waits for acknowledgements of the data (meta-pytorch/torchcomms pull request 3881); without it, whether the data are
// visible with the signal is an open question (NVIDIA/nvshmem issue 75). So a step would take two trips more, 2 L', and
// spare S/G of 2 S/G bytes: worth it from 2 L' B' a shard on, 500 kB where a trip is worth 250 kB.
INLINE void put_cells(const Call& call, int place, u32 to, const char* from, u32 cells) {
  __syncthreads();  // the whole chunk is packed. Both addresses are this rank's: NVSHMEM translates the target
  if (cells) nvshmemx_putmem_nbi_block(call.own + to, from, cells * CELL, call.a.pe[place]);
}
#endif
