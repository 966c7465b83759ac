"""Matrix products of a device, prepared as calls: rows (t, k) times a weight (n, k), transposed, into rows (t, n)."""

from __future__ import annotations

from typing import Protocol

from collbench.devices.device import Array, Call


class Matrices(Protocol):
    """Memory for matrices, and products of them that are enqueued as calls of a collective are."""

    def filled(self, rows: int, columns: int) -> Array:
        """A matrix of random numbers with a standard deviation of one over the root of ``columns``."""

    def empty(self, rows: int, columns: int) -> Array:
        """A matrix for a result."""

    def touched(self, array: Array) -> Call:
        """A call that enqueues a read of ``array``, which a cache then holds as if it had just been written."""

    def product(self, rows: Array, weight: Array, into: Array) -> Call:
        """A call that enqueues ``into = rows @ weight.T``."""
