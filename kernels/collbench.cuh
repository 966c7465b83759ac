// The one include of a kernel: its arguments, its data, the other ranks, and the start and end of a call.
//
// What depends on the memory model is in common/, what is not plain C++ in machine/, so any C++ compiler can read a
// kernel's own file: the same source runs on GPUs, on processors and in the emulator.
//
// Why two halves of scratch suffice, for every kernel, and for calls of different kernels and sizes in any order:
// call e uses the half that has the parity of e. Consider a store of rank A into the scratch of rank B in call e. A has
// completed call e-1, so it has received all of its result. That depends on B's input (in a sum, or as B's part), which
// B sent in its own call e-1, and that began after B's call e-2 had ended (a kernel waits for the one before it). So B
// has read, and where necessary cleared, everything that call e-2 left in this half. A call on no elements, or on parts
// without any, would break the chain: the host makes none. Cells carry their own validity, so no other order between
// stores is relied on.
//
// What this asks of the hardware. The chain consists of relaxed loads and stores and may pass through a third rank (B
// to C to A); in PTX's formal model these do not synchronise, so the model alone does not order B's clear before A's
// store. Reuse rests on a clear being in the L2 of the memory's owner by the end of the kernel that made it: A's store
// reaches that L2 later, and nothing older can overwrite it.
//
// Blocks wait for blocks of other ranks, so all blocks of a grid must be resident; the host ensures it for one stream of
// calls. Two communicators on two streams can deadlock where a GPU cannot hold both grids: ranks may run different ones.
#pragma once

#if defined(__CUDACC__)
#include "machine/gpu.cuh"
#elif COLL_EMULATED
#include "machine/emulated.h"
#else
#include "machine/cpu.h"
#endif

#include "common/target.cuh"
#include "common/elements.cuh"
#include "common/args.cuh"
#include "common/cells.cuh"
#include "common/buffers.cuh"
#include "common/shards.cuh"
#include "common/marks.cuh"
#include "common/waiting.cuh"
#include "common/epoch.cuh"
#include "common/call.cuh"
#include "common/put.cuh"
#include "common/nodes.cuh"
#include "common/rows.cuh"
