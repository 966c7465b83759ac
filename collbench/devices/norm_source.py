"""The source of the GPU kernel that judges normalised rows; without cupy, so that a C++ compiler can check it."""

from __future__ import annotations

from collbench.plan.rms_norm import CELL_ELEMENTS, EPSILON, MOST_HIDDEN

KINDS = {"float16": "f16", "bfloat16": "bf16"}

# fp32 as in plan/rms_norm.py: PTX, since cupy compiles with -ftz=true, which would flush denormals, and since the
# compiler may otherwise fuse a multiplication and an addition.
ARITHMETIC = r"""
#define OF_TWO(name, instruction) \
  __device__ float name(float x, float y) { float z; asm(instruction " %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y)); \
    return z; }
OF_TWO(plus, "add.rn.f32")
OF_TWO(times, "mul.rn.f32")
OF_TWO(over, "div.rn.f32")
__device__ float root(float x) { float y; asm("sqrt.rn.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
__device__ double exactly(float x) { double y; asm("cvt.f64.f32 %0, %1;" : "=d"(y) : "f"(x)); return y; }

struct f16 {
  static __device__ float wide(unsigned short bits) {
    float y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(bits)); return y;
  }
  static __device__ unsigned short narrow(float x) {
    unsigned short y; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x)); return y;
  }
};
"""

JUDGE = r"""
typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;

struct bf16 {
  static __device__ float wide(u16 bits) { return __uint_as_float((u32)bits << 16); }
  static __device__ u16 narrow(float x) {  // to nearest, ties to even
    u32 bits = __float_as_uint(x);
    return x != x ? 0x7fff : (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
};

__device__ bool close(double got, double want, double relative, double absolute) {
  return want - want == 0 && fabs(got - want) <= relative * fabs(want) + absolute;  // want is finite
}

template <class T>
__device__ float squares_of_cell(const u16* cell) {
  float sums[CELL];
  for (u32 i = 0; i < CELL; i++) sums[i] = times(T::wide(cell[i]), T::wide(cell[i]));
  for (u32 half = CELL / 2; half > 0; half /= 2)
    for (u32 i = 0; i < half; i++) sums[i] = plus(sums[i], sums[i + half]);
  return sums[0];
}

// One block a row. found: as in gpu_patterns.py, without the largest error.
template <class T>
__global__ void judge_rows(const char* rows, const char* residuals, u64 stride, u64 residual_stride, u64 count,
                           u32 hidden, u64 start, u64 step, const u16* weights, double relative, double absolute,
                           u64* found) {
  __shared__ float sums[MOST_CELLS];
  const u16* out = (const u16*)(rows + blockIdx.y * stride);
  const u16* in = (const u16*)(residuals + blockIdx.y * residual_stride);
  u64 shift = start + blockIdx.y * step, wrong = 0, first = ~0ull;
  u32 cells = hidden / CELL, padded = 1;
  while (padded < cells) padded *= 2;
  for (u64 at = (u64)blockIdx.x * hidden; at < count; at += (u64)gridDim.x * hidden) {
    for (u32 c = threadIdx.x; c < padded; c += blockDim.x)
      sums[c] = c < cells ? squares_of_cell<T>(in + at + c * CELL) : 0;
    for (u32 half = padded / 2; half > 0; half /= 2) {
      __syncthreads();
      for (u32 c = threadIdx.x; c < half; c += blockDim.x) sums[c] = plus(sums[c], sums[c + half]);
    }
    __syncthreads();
    float scale = over(1.0f, root(plus(over(sums[0], (float)hidden), EPSILON)));
    for (u32 i = threadIdx.x; i < hidden; i += blockDim.x) {
      float want = times(times(T::wide(in[at + i]), scale), T::wide(weights[(shift + i) % PERIOD]));
      u16 rounded = T::narrow(want);
      float got = T::wide(out[at + i]), near = T::wide(rounded);
      bool right = out[at + i] == rounded || (got != got && near != near);
      if (!right && relative > 0)
        right = exactly(got) == exactly(near) || close(exactly(got), exactly(want), relative, absolute);
      if (!right) {
        wrong++;
        if (first == ~0ull) first = (u64)blockIdx.y << 40 | (at + i);
      }
    }
    __syncthreads();  // before the sums of the next row
  }
  if (wrong) { atomicAdd(&found[0], wrong); atomicMin(&found[1], first); }
}
"""


def options_of(period: int) -> tuple[str, ...]:
    """The compiler's options for tables of ``period`` entries."""
    sizes = {"PERIOD": f"{period}ull", "CELL": CELL_ELEMENTS, "MOST_CELLS": MOST_HIDDEN // CELL_ELEMENTS}
    return ("--std=c++17", f"-DEPSILON={EPSILON}f", *(f"-D{name}={value}" for name, value in sizes.items()))
