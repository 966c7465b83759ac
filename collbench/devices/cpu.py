"""The CPU device: buffers in host memory and a clock that is aligned across ranks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from collbench.devices.clocks import Agreement, wait_until
from collbench.devices.device import (
    PERIOD,
    Array,
    Call,
    Errors,
    Expectation,
    Recording,
    Region,
    Rows,
    Sampler,
    Values,
    same,
)
from collbench.devices.norms import unlike_rows
from collbench.host import procfs
from collbench.host.environment import machine
from collbench.host.memory import Room, host_room

if TYPE_CHECKING:
    from collbench.ranks.world import World

ALIGNMENT = 4096
CHUNK_ROWS = 64  # rows of one period that are widened to float64 at a time


def _cache_bytes() -> int:
    """Size of the last-level cache of one core, 32 MiB where the system does not report it."""
    files = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((size for file in files if (size := procfs.number(file, r"(\d+)K$"))), default=32 << 10) << 10


def _periods(values: Values, table: Values, shift: int) -> tuple[tuple[Values, Values], tuple[Values, Values]]:
    """``values`` as whole periods and a remainder, each with its part of the table that starts at ``shift``."""
    turned = np.concatenate([table[shift:], table[:shift]])
    whole = len(values) // PERIOD * PERIOD
    return (values[:whole].reshape(-1, PERIOD), turned), (values[whole:][None], turned[: len(values) - whole])


def _bits(values: Values) -> Values:
    return values.view(f"u{values.dtype.itemsize}")


def _exact_errors(values: Values, expected: Values, shift: int) -> tuple[int, int]:
    """(number of elements whose bits differ, index of the first)."""
    wrong, first, base = 0, -1, 0
    for block, row in _periods(_bits(values), _bits(expected), shift):
        bad = block != row
        count = int(np.count_nonzero(bad))
        if count and first < 0:
            first = base + int(np.argmax(bad))
        wrong += count
        base += block.size
    return wrong, first


def _bound_errors(values: Values, expected: Expectation, shift: int) -> tuple[int, int, float]:
    """(number of elements outside their tolerance, index of the first, largest error in units)."""
    wrong, first, units = 0, -1, 0.0
    turn = np.roll(np.stack([expected.middle, expected.tolerance, expected.units]), -shift, axis=1)
    for start in range(0, len(values), CHUNK_ROWS * PERIOD):
        part = values[start : start + CHUNK_ROWS * PERIOD].astype(np.float64)
        base = start
        for block, _ in _periods(part, expected.middle, 0):
            middle, tolerance, unit = turn[:, : block.shape[1]]
            with np.errstate(invalid="ignore"):  # inf - inf
                error = np.abs(block - middle)
                units = max(units, float(np.max(error * unit, initial=0.0)))
            bad = ~(error <= tolerance)
            if bad.any():
                bad &= ~same(block, middle)
            count = int(np.count_nonzero(bad))
            if count and first < 0:
                first = base + int(np.argmax(bad))
            wrong += count
            base += block.size
    return wrong, first, units


class Cpu:
    """Host memory; implements ``Device``."""

    kind = "cpu"

    def __init__(self) -> None:
        self.name = str(machine()["cpu"])
        cache = _cache_bytes()
        self.hot_bytes, self.cold_bytes = 1 << 20, cache  # at least two ranks flush, so twice the cache
        self._arena: Array = np.empty(0, np.uint8)

    def room(self, ranks: int) -> Room:
        return host_room(ranks)

    def arena(self, size: int) -> Array:
        if self._arena.size < size:
            self._arena = np.empty(0, np.uint8)  # free the old arena before the new one is allocated
            raw = np.zeros(size + ALIGNMENT, np.uint8)
            skip = -raw.ctypes.data % ALIGNMENT
            self._arena = raw[skip : skip + size]
        return self._arena

    def view(self, arena: Array, region: Region, slot: int) -> Array:
        start = region.offset + slot * region.stride
        return arena[start : start + region.count * region.dtype.itemsize].view(region.dtype.numpy)

    def upload(self, values: Values) -> Array:
        return values

    def expectation(self, expected: Expectation) -> Expectation:
        return expected

    def fill(self, arena: Array, region: Region, table: Array, start: int, step: int) -> None:
        for slot in range(region.slots):
            for block, row in _periods(self.view(arena, region, slot), table, (start + slot * step) % PERIOD):
                block[...] = row

    def poison(self, arena: Array, region: Region) -> None:
        for slot in range(region.slots):
            self.view(arena, region, slot).view(np.uint8)[...] = 0xFF

    def judge(self, arena: Array, region: Region, expected: Expectation, start: int, step: int) -> Errors:
        wrong, where, units = 0, None, 0.0
        for slot in range(region.slots):
            values, shift = self.view(arena, region, slot), (start + slot * step) % PERIOD
            if expected.value is not None:
                count, first = _exact_errors(values, expected.value, shift)
            else:
                count, first, most = _bound_errors(values, expected, shift)
                units = max(units, most)
            wrong += count
            where = (slot, first) if count and where is None else where
        return Errors(wrong, *(where or (0, 0)), units)

    def judge_rows(self, arena: Array, rows: Rows, weights: Array, start: int, step: int) -> Errors:
        wrong, where = 0, None
        for slot in range(rows.normalised.slots):
            entries = (start + slot * step + np.arange(rows.hidden)) % PERIOD
            got, residual = (self.view(arena, each, slot) for each in (rows.normalised, rows.residual))
            bad = unlike_rows(got, residual, weights[entries], rows)
            count = int(np.count_nonzero(bad))
            wrong += count
            where = (slot, int(np.argmax(bad))) if count and where is None else where
        return Errors(wrong, *(where or (0, 0)))

    def download(self, arena: Array, region: Region, slot: int) -> Values:
        return np.array(self.view(arena, region, slot))

    def settle(self) -> None:
        """Does nothing: a call on the host is complete when it returns."""

    def sampler(self, world: World, calls: Sequence[Call], mode: str, cold: bool) -> Sampler:
        return CpuSampler(world, calls, np.empty(self.cold_bytes, np.uint8) if cold else None)

    def recorded(self, calls: Sequence[Call]) -> Recording:
        return Again(tuple(calls))

    def hold_back(self, seconds: float) -> None:
        time.sleep(seconds)

    def kernels(self, call: Call) -> tuple[str, ...]:
        return ()

    def throttled(self) -> str | None:
        return None

    def facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name}

    def leave(self, world: World) -> None:
        """Does nothing: samplers on the CPU share no resources."""

    def close(self) -> None:
        self._arena = np.empty(0, np.uint8)


@dataclass(frozen=True)
class Again:
    """Calls to repeat; implements ``Recording`` for the CPU, where nothing is recorded."""

    calls: tuple[Call, ...]

    def launch(self) -> None:
        for call in self.calls:
            call()

    def close(self) -> None:
        """Does nothing: it holds no resources."""


class CpuSampler:
    """Starts all ranks at an agreed time and measures each rank from its own start to its own end."""

    def __init__(self, world: World, calls: Sequence[Call], flush: Values | None) -> None:
        self._calls, self._flush, self._agreement = calls, flush, Agreement(world)

    def sample(self) -> tuple[float, bool]:
        begin, end = self._run(self._aligned())
        return (end - begin) / len(self._calls), False

    def skewed(self, delay: float) -> tuple[float, float, bool]:
        start = self._aligned()
        arrival, end = self._run(start + delay)
        return arrival - start, end - arrival, False

    def _aligned(self) -> float:
        """Flush the cache if asked to, and agree on a start, which is returned on this rank's clock."""
        if self._flush is not None:
            self._flush += 1
        return self._agreement.start()

    def _run(self, start: float) -> tuple[float, float]:
        """Make the calls at ``start`` on this rank's clock, or at once where that has passed; (begin, end)."""
        wait_until(start)
        begin = time.perf_counter()
        for call in self._calls:
            call()
        return begin, time.perf_counter()

    def close(self) -> None:
        """Does nothing: it holds no resources."""
