"""The judges of normalised rows: numpy's, and the source of the GPU's, compiled here for one thread."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_files import compiles

from collbench.devices.cpu import Cpu
from collbench.devices.device import PERIOD, Errors, Region, Rows, Values
from collbench.devices.norm_source import ARITHMETIC, JUDGE, KINDS, options_of
from collbench.devices.norms import tolerance
from collbench.kernels.host_compiler import compiler
from collbench.plan import rms_norm
from collbench.plan.dtypes import DTYPES
from collbench.proof.patterns import weights

# What CUDA provides, for one thread; C++ instead of PTX.
ONE_THREAD = r"""
#include <cmath>
#include <cstring>
#define __device__
#define __global__
#define __shared__ static
struct { unsigned x, y; } threadIdx, blockIdx, blockDim = {1, 1}, gridDim = {1, 1};
void __syncthreads() {}
float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }
unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }
template <class T> void atomicAdd(T* at, T x) { *at += x; }
template <class T> void atomicMin(T* at, T x) { if (x < *at) *at = x; }
float plus(float x, float y) { return x + y; }
float times(float x, float y) { return x * y; }
float over(float x, float y) { return x / y; }
float root(float x) { return sqrtf(x); }
double exactly(float x) { return x; }
struct f16 {
  static float wide(unsigned short bits) { _Float16 y; memcpy(&y, &bits, 2); return y; }
  static unsigned short narrow(float x) { _Float16 y = x; unsigned short z; memcpy(&z, &y, 2); return z; }
};
"""
ENTRY = r"""
extern "C" void judge(int of_bf16, unsigned slots, const char* rows, const char* residuals, u64 stride, u64 count,
                      u32 hidden, u64 start, u64 step, const u16* weights, double relative, double absolute,
                      u64* found) {
  for (blockIdx.y = 0; blockIdx.y < slots; blockIdx.y++) {
    auto kernel = of_bf16 ? judge_rows<bf16> : judge_rows<f16>;
    kernel(rows, residuals, stride, stride, count, hidden, start, step, weights, relative, absolute, found);
  }
}
"""
SLOTS, ROWS = 2, 3
START, STEP = 16000, 257


@pytest.fixture(scope="module")
def on_one_thread(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The function ``judge`` above."""
    command = compiler()
    if command is None:
        pytest.skip("no C++ compiler")
    folder: Path = tmp_path_factory.mktemp("judge")
    source, library = folder / "judge.cpp", folder / "judge.so"
    source.write_text(ONE_THREAD + JUDGE + ENTRY, encoding="utf-8")
    flags = ("-shared", "-fPIC", "-O1", "-w", "-ffp-contract=off", *options_of(PERIOD))
    subprocess.run([*command, *flags, "-o", str(library), str(source)], check=True, timeout=120)
    return ctypes.CDLL(str(library)).judge


class Judged:
    """Rows of two slots, beside residuals, in an arena; the judges may be asked about them."""

    def __init__(self, kind: str, hidden: int, residual: Values, roundings: int) -> None:
        self.dtype, self.hidden = DTYPES[kind], hidden
        count = ROWS * hidden
        stride = 2 * count * 2 + 64
        self.arena = np.zeros(SLOTS * stride, np.uint8)
        at = Region(0, stride, SLOTS, count, self.dtype), Region(2 * count, stride, SLOTS, count, self.dtype)
        self.rows = Rows(*at, hidden, roundings)
        with np.errstate(all="ignore"):
            for slot in range(SLOTS):
                self.view(at[1], slot)[...] = residual[slot].reshape(-1)
                weight = weights(self.dtype)[(START + slot * STEP + np.arange(hidden)) % PERIOD]
                self.view(at[0], slot)[...] = rms_norm.normalised(residual[slot], weight).reshape(-1)

    def view(self, region: Region, slot: int) -> Values:
        """One slot of a region."""
        return np.asarray(Cpu().view(self.arena, region, slot))

    def by_numpy(self) -> Errors:
        """What the CPU device finds."""
        return Cpu().judge_rows(self.arena, self.rows, weights(self.dtype), START, STEP)

    def by_source(self, judge: Any) -> Errors:
        """What the source of the GPU's kernel finds."""
        found = np.array([0, ~np.uint64(0), 0], np.uint64)
        table, at = weights(self.dtype).view("u2"), self.arena.ctypes.data
        rows, residual = self.rows.normalised, self.rows.residual
        u64, real, there = ctypes.c_uint64, ctypes.c_double, ctypes.c_void_p
        judge(
            int(self.dtype.name == "bfloat16"), SLOTS, there(at + rows.offset), there(at + residual.offset),
            u64(rows.stride), u64(rows.count), ctypes.c_uint32(self.hidden), u64(START), u64(STEP),
            there(table.ctypes.data), *map(real, tolerance(self.dtype, self.rows.roundings)),
            there(found.ctypes.data),
        )  # fmt: skip
        return Errors(int(found[0]), *divmod(int(found[1]), 1 << 40)) if found[0] else Errors()


def residuals(kind: str, hidden: int, special: bool) -> Values:
    """Random residuals of two slots; special ones are of all bit patterns."""
    draw, dtype = np.random.default_rng(hidden), DTYPES[kind].numpy
    shape = (SLOTS, ROWS, hidden)
    if special:
        return draw.integers(0, 1 << 16, shape).astype(np.uint16).view(dtype)
    return np.asarray(draw.standard_normal(shape).astype(dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [8, 24, 1000, 16384])
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("roundings", [0, 4])
def test_right_rows_have_no_errors(
    kind: str, hidden: int, special: bool, roundings: int, on_one_thread: Any
) -> None:  # fmt: skip
    judged = Judged(kind, hidden, residuals(kind, hidden, special), roundings)
    assert judged.by_numpy() == judged.by_source(on_one_thread) == Errors()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("roundings", [0, 4])
@pytest.mark.parametrize("wrong", [1, 64, 0x7FFF])
def test_both_judges_find_the_same_errors(kind: str, roundings: int, wrong: int, on_one_thread: Any) -> None:
    judged = Judged(kind, 24, residuals(kind, 24, False), roundings)
    rows = judged.view(judged.rows.normalised, 1).view("u2")
    rows[[30, 31, 71]] ^= wrong  # the last bit is within four roundings, others are not
    right = roundings and wrong == 1
    assert judged.by_numpy() == judged.by_source(on_one_thread) == (Errors() if right else Errors(3, 1, 30))


def test_flushed_denormals_are_a_matter_of_rounding() -> None:
    least = np.array([1, 2, 3, 0, 0, 0, 0, 0], np.uint16).view(DTYPES["bfloat16"].numpy)
    for roundings, errors in ((0, Errors(3, 1, 0)), (4, Errors())):
        judged = Judged("bfloat16", 8, np.broadcast_to(least, (SLOTS, ROWS, 8)), roundings)
        judged.view(judged.rows.normalised, 1)[:8] = 0
        assert judged.by_numpy() == errors


@compiles
def test_the_source_compiles_for_gpus_and_flushes_no_denormals() -> None:
    from cuda.bindings import nvrtc

    error, program = nvrtc.nvrtcCreateProgram((ARITHMETIC + JUDGE).encode(), b"judge.cu", 0, [], [])
    assert int(error) == 0
    for kind in KINDS.values():
        nvrtc.nvrtcAddNameExpression(program, f"judge_rows<{kind}>".encode())
    options = [text.encode() for text in (*options_of(PERIOD), "-arch=compute_80", "-ftz=true")]  # as cupy compiles
    assert int(nvrtc.nvrtcCompileProgram(program, len(options), options)[0]) == 0
    text = b" " * nvrtc.nvrtcGetPTXSize(program)[1]
    nvrtc.nvrtcGetPTX(program, text)
    assert b"sqrt.rn.f32" in text
    assert b"div.rn.f32" in text
    flushing = [line.split()[0 if b"@" not in line else 1] for line in text.splitlines() if b".ftz" in line]
    assert set(flushing) <= {b"setp.nan.ftz.f32", b"setp.num.ftz.f32"}  # comparisons with itself
    assert b"fma.rn.f32" not in text
