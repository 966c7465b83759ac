"""GPU kernels that write inputs, judge outputs and delay a stream."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from collbench.devices.device import PERIOD, Array, Errors, Region, Values

THREADS, MOST_BLOCKS = 256, 1024
LONGEST_NS = 10_000_000_000  # that a stream waits for its host

# One row of blocks per slot; element i of slot s is compared with or set from entry (start + s * step + i) % PERIOD.
SOURCE = r"""
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef long long i64;
struct f16 { u16 bits; }; struct bf16 { u16 bits; };

// cupy compiles with -ftz=true, under which a plain conversion would flush denormals.
__device__ double widen(float x) { double y; asm("cvt.f64.f32 %0, %1;" : "=d"(y) : "f"(x)); return y; }
__device__ double widen(double x) { return x; }
__device__ double widen(int x) { return x; }
__device__ double widen(i64 x) { return x; }
__device__ double widen(u8 x) { return x; }
__device__ double widen(bf16 x) { return widen(__uint_as_float((u32)x.bits << 16)); }
__device__ double widen(f16 x) { float y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits)); return y; }

template <class T>
__global__ void fill(char* base, u64 stride, u64 count, const T* table, u64 start, u64 step) {
  T* out = (T*)(base + blockIdx.y * stride);
  u64 shift = start + blockIdx.y * step;
  for (u64 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (u64)gridDim.x * blockDim.x)
    out[i] = table[(shift + i) % PERIOD];
}

// found[0]: wrong elements; found[1]: the lowest (slot << 40 | index) among them; found[2]: largest error, as the bits
// of a double, which for non-negative values order like integers.
template <class T>
__global__ void judge(const char* base, u64 stride, u64 count, const double* expected, u64 start, u64 step,
                      u64* found) {
  const T* out = (const T*)(base + blockIdx.y * stride);
  u64 shift = start + blockIdx.y * step, wrong = 0, first = ~0ull;
  double worst = 0;
  for (u64 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += (u64)gridDim.x * blockDim.x) {
    u64 k = (shift + i) % PERIOD;
    double got = widen(out[i]), want = expected[k];
    bool same = got == want || (got != got && want != want);  // equal infinities and two NaNs count as equal
    double error = same ? 0 : fabs(got - want);
    if (!(error <= expected[PERIOD + k])) {  // also true where only the output is NaN
      wrong++;
      if (first == ~0ull) first = (u64)blockIdx.y << 40 | i;
    }
    worst = fmax(worst, error * expected[2 * PERIOD + k]);
  }
  if (wrong) { atomicAdd(&found[0], wrong); atomicMin(&found[1], first); }
  if (worst > 0) atomicMax(&found[2], (u64)__double_as_longlong(worst));
}

__global__ void hold(u64 nanoseconds) {
  u64 begin, now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(begin));
  do { asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now)); } while (now - begin < nanoseconds);
}

// Until a word in the host's memory has a value, or for ever so long: then the host sees that the stream went on.
__global__ void await(const volatile u32* word, u32 value, u64 nanoseconds) {
  u64 begin, now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(begin));
  do { asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now)); } while (*word != value && now - begin < nanoseconds);
}
"""

_STORED = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
_JUDGED = {
    "float16": "f16", "bfloat16": "bf16", "float32": "float", "float64": "double", "int32": "int", "int64": "i64",
    "uint8": "u8",
}  # fmt: skip

NONE_FOUND = np.array([0, ~np.uint64(0), 0], np.uint64)


def errors_of(found: Values) -> Errors:
    """What a kernel found, as it left it in three words."""
    wrong, first, worst = found
    units = float(worst.view(np.float64))
    return Errors(int(wrong), *divmod(int(first), 1 << 40), units) if wrong else Errors(units=units)


class Patterns:
    """Compiled pattern kernels of the current device, launched on the current cupy stream."""

    def __init__(self) -> None:
        names = [f"fill<{kind}>" for kind in _STORED.values()] + [f"judge<{kind}>" for kind in _JUDGED.values()]
        names += ["hold", "await"]
        self._module = cupy.RawModule(
            code=SOURCE, options=("--std=c++17", f"-DPERIOD={PERIOD}ull"), name_expressions=names
        )
        self._kernels: dict[str, Any] = {name: self._module.get_function(name) for name in names}
        self._found = cupy.asarray(NONE_FOUND)

    def fill(self, arena: Array, region: Region, table: Array, start: int, step: int) -> None:
        """Implements ``Device.fill``."""
        kernel = self._kernels[f"fill<{_STORED[region.dtype.itemsize]}>"]
        self._launch(kernel, arena, region, table, start, step)

    def judge(self, arena: Array, region: Region, expected: Array, start: int, step: int) -> Errors:
        """Implements ``Device.judge``; waits for the stream."""
        self._found.set(NONE_FOUND)
        self._launch(
            self._kernels[f"judge<{_JUDGED[region.dtype.name]}>"],
            arena,
            region,
            expected,
            start,
            step,
            self._found,
        )
        return errors_of(cupy.asnumpy(self._found))

    def delay(self, nanoseconds: int) -> None:
        """Keep the stream busy for ``nanoseconds``, to within a tick of %globaltimer: 32 ns to 1 µs, by GPU."""
        self._kernels["hold"]((1,), (1,), (np.uint64(nanoseconds),))

    def await_word(self, address: int, value: int) -> None:
        """Keep the stream busy until the 32-bit word at ``address``, in pinned memory, is ``value``, for at most
        LONGEST_NS."""
        self._kernels["await"]((1,), (1,), (np.uint64(address), np.uint32(value), np.uint64(LONGEST_NS)))

    def _launch(
        self, kernel: Any, arena: Array, region: Region, table: Array, start: int, step: int, *more: Array
    ) -> None:
        blocks = min(MOST_BLOCKS, -(-region.count // THREADS))
        base = np.uint64(arena.data.ptr + region.offset)
        sizes = (np.uint64(region.stride), np.uint64(region.count))
        shifts = (np.uint64(start), np.uint64(step))
        kernel((blocks, region.slots), (THREADS,), (base, *sizes, table, *shifts, *more))
