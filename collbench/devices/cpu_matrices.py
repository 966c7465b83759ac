"""Matrix products of CPU ranks: numpy in float32, since numpy has none of 16-bit floats."""

from __future__ import annotations

from functools import partial

import numpy as np

from collbench.devices.device import Array, Call

TABLE = 1 << 16


class CpuMatrices:
    """Implements ``Matrices`` in host memory."""

    def __init__(self) -> None:
        self._table = np.random.default_rng(2513).standard_normal(TABLE).astype(np.float32)

    def filled(self, rows: int, columns: int) -> Array:
        return np.resize(self._table, (rows, columns)) * np.float32(columns**-0.5)

    def empty(self, rows: int, columns: int) -> Array:
        return np.empty((rows, columns), np.float32)

    def touched(self, array: Array) -> Call:
        return partial(np.add.reduce, array.view(np.uint8))

    def product(self, rows: Array, weight: Array, into: Array) -> Call:
        return partial(np.matmul, rows, weight.T, out=into)
