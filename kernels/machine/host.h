// The interface between a kernel compiled for a processor and its runtime: cpu.cpp or emulator.cpp, which define what
// is declared here under HOST. A thread of a kernel is a fiber of the runtime.
#pragma once

#include <cstddef>
#include <cstdint>

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i64 = std::int64_t;

struct Index { u32 x, y, z; };
struct Self { Index thread, block, threads, blocks; };
extern "C" {
extern Self* HOST(self);
void HOST(sync_block)();
void HOST(sync_warp)(u32 lanes);
const u64* HOST(exchange)(u32 lanes, u64 value);  // every lane's value, once all of `lanes` have called it
u64 HOST(nanoseconds)();
[[noreturn]] void HOST(trap)();
}
